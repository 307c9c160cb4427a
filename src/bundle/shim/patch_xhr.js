// `XMLHttpRequest`, in any thread.
//
// Reads of data are sent with credentials; they wait where it is known that new cookies come first; and
// one that was refused because cookies had expired is done again, unseen by whoever listens. There is
// no 503 here: while nobody is signed in, a refusal stays one.

const EVENTS = ["readystatechange", "progress", "load", "error", "timeout", "loadend"];

export function patchXhr(scope, dataAt, cookies) {
  const prototype = scope.XMLHttpRequest?.prototype;
  if (!prototype) return;
  const native = { open: prototype.open, send: prototype.send, setRequestHeader: prototype.setRequestHeader, abort: prototype.abort };
  const reads = new WeakMap(); // request → Read
  const heard = new WeakSet();

  prototype.open = function open(method, url) {
    reads.delete(this);
    native.open.apply(this, arguments);
    const data = dataAt(url);
    if (!data) return;
    reads.set(this, new Read(this, native, cookies, data, arguments));
    if (heard.has(this)) return;
    heard.add(this);
    // Listeners for the capture phase are called before all others, whenever those were added.
    for (const type of EVENTS) this.addEventListener(type, (event) => reads.get(this)?.listen(event), true);
  };

  prototype.setRequestHeader = function setRequestHeader() {
    native.setRequestHeader.apply(this, arguments);
    reads.get(this)?.headers.push(arguments);
  };

  prototype.send = function send() {
    const read = reads.get(this);
    return read ? read.send(arguments) : native.send.apply(this, arguments);
  };

  prototype.abort = function abort() {
    reads.get(this)?.abort();
    return native.abort.apply(this, arguments);
  };
}

/** One request for data, from its `open` to the next. */
class Read {
  headers = [];
  #request;
  #native;
  #cookies;
  #data;
  #opened;
  #again; // whether it may be done a second time
  #sent = [];
  #began = 0;
  #startedAt = 0;
  #aborted = false;
  #waiting = false; // for cookies, before the first or the second attempt
  #muted = false; // its events are of an attempt that does not count
  #judged = false;

  constructor(request, native, cookies, data, opened) {
    this.#request = request;
    this.#native = native;
    this.#cookies = cookies;
    this.#data = data;
    this.#opened = opened;
    const [method, , asynchronous] = opened;
    this.#again = /^(get|head)$/i.test(method) && (opened.length < 3 || Boolean(asynchronous));
  }

  send(sent) {
    this.#sent = sent;
    this.#cookies.want();
    if (this.#again && this.#cookies.isStale()) return this.#whenRenewed(() => this.#attempt());
    this.#attempt();
  }

  abort() {
    this.#aborted = true;
    if (!this.#waiting) return;
    this.#waiting = this.#muted = false;
    this.#dispatch("abort");
    this.#dispatch("loadend");
  }

  listen(event) {
    if (!this.#muted && this.#again && this.#isRefused(event) && !this.#judged) this.#judge();
    if (!this.#muted && event.type === "load" && this.#request.status < 400) this.#cookies.onanswer(this.#data.url, false);
    if (!this.#muted) return;
    event.stopImmediatePropagation();
    if (event.type === "loadend") this.#whenRenewed(() => this.#repeat());
  }

  #attempt() {
    this.#began = this.#cookies.generation;
    this.#startedAt = performance.now();
    // Also where the viewer has said `false`, which is what libraries say for "nothing special".
    if (this.#data.crossOrigin) this.#request.withCredentials = true;
    this.#native.send.apply(this.#request, this.#sent);
  }

  #isRefused({ type }) {
    const { readyState, status, timeout } = this.#request;
    if (type !== "readystatechange" || this.#aborted) return false;
    if (status === 403) return readyState >= 2;
    const late = timeout > 0 && performance.now() - this.#startedAt >= timeout - 1;
    return readyState === 4 && status === 0 && !late;
  }

  #judge() {
    const reason = this.#cookies.explain(this.#began, this.#data.url);
    this.#judged = reason === "" || reason === "later";
    if (reason === "later") this.#cookies.refuse();
    this.#muted = !this.#judged;
  }

  #repeat() {
    this.#judged = true;
    try {
      this.#native.open.apply(this.#request, this.#opened);
      this.#muted = false;
      for (const header of this.headers) this.#native.setRequestHeader.apply(this.#request, header);
      this.#attempt();
    } catch {
      this.#muted = false;
      this.#dispatch("error");
      this.#dispatch("loadend");
    }
  }

  #whenRenewed(next) {
    this.#waiting = true;
    const needed = this.#cookies.generation === this.#began || !this.#muted;
    Promise.resolve(needed && this.#cookies.renew(this.#data.url)).then(() => {
      if (this.#aborted) return;
      this.#waiting = false;
      next();
    });
  }

  #dispatch(type) {
    this.#request.dispatchEvent(new ProgressEvent(type));
  }
}
