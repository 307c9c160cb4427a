// `<img>`, whose address is set by script. One that stands in the markup is the browser's: it sends
// cookies to hosts of the same site anyway.

export function patchImages(scope, dataAt, cookies) {
  const prototype = scope.HTMLImageElement?.prototype;
  if (!prototype) return;
  const src = Object.getOwnPropertyDescriptor(prototype, "src");
  const { setAttribute } = prototype;
  const images = new Images(dataAt, cookies, setAttribute, (image, url) => src.set.call(image, url));

  Object.defineProperty(prototype, "src", {
    ...src,
    set(url) {
      images.prepare(this, url);
      src.set.call(this, url);
    },
  });

  prototype.setAttribute = function (name, value) {
    if (String(name).toLowerCase() === "src") images.prepare(this, value);
    return setAttribute.apply(this, arguments);
  };
}

class Images {
  #dataAt;
  #cookies;
  #setAttribute;
  #setSource;
  #before = new WeakMap(); // image → the viewer's own `crossorigin`
  #reads = new WeakMap(); // image → {url, began, again}
  #heard = new WeakSet();

  constructor(dataAt, cookies, setAttribute, setSource) {
    this.#dataAt = dataAt;
    this.#cookies = cookies;
    this.#setAttribute = setAttribute;
    this.#setSource = setSource;
  }

  /** Before an image is given this address. Never throws. */
  prepare(image, url) {
    try {
      const data = this.#dataAt(url);
      this.#reads.delete(image);
      this.#allow(image, data?.crossOrigin);
      if (!data) return;
      this.#reads.set(image, { url: data.url, began: this.#cookies.generation, again: false });
      this.#listen(image);
      this.#cookies.want();
    } catch {
      // Not an image, or not an address: the browser says so.
    }
  }

  /** With credentials, as a canvas can only use an image that was read so; and as it was before. */
  #allow(image, needed) {
    const now = image.getAttribute("crossorigin");
    if (needed && now !== "use-credentials") {
      this.#before.set(image, now);
      this.#setAttribute.call(image, "crossorigin", "use-credentials");
    }
    if (needed || !this.#before.has(image)) return;
    const before = this.#before.get(image);
    this.#before.delete(image);
    if (now !== "use-credentials") return;
    if (before === null) image.removeAttribute("crossorigin");
    else this.#setAttribute.call(image, "crossorigin", before);
  }

  #listen(image) {
    if (this.#heard.has(image)) return;
    this.#heard.add(image);
    image.addEventListener("error", (event) => this.#failed(event, image), true);
    image.addEventListener("load", () => this.#reads.has(image) && this.#cookies.onanswer(this.#reads.get(image).url, false));
  }

  /** Sets the address once more where expiry explains it; nobody else hears of the first failure. */
  #failed(event, image) {
    const read = this.#reads.get(image);
    if (!read) return;
    const reason = this.#cookies.explain(read.began, read.url);
    if (reason === "later") this.#cookies.refuse();
    if (reason === "" || reason === "later" || read.again) return;
    event.stopImmediatePropagation();
    read.again = true;
    const renewed = reason === "renew" ? this.#cookies.renew(read.url) : Promise.resolve();
    renewed.then(() => {
      if (this.#reads.get(image) !== read) return;
      read.began = this.#cookies.generation;
      this.#setSource(image, read.url);
    });
  }
}
