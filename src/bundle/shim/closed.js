// What somebody asked for and may not see, by the service's own word. A refusal of the edge alone is none:
// S3 says 403 for what is absent, too.
//
// 1. A refusal counts where the service has said what is open, and the URL is not covered by it.
// 2. It does not beside something that nothing covers and that was read all the same: that is public, and
//    what is public has absent objects.
// 3. What lies right below a data host, and listings, are tried by viewers while somebody types; folders above
//    what is open, by some that look for metadata there.
// 4. A page goes by its own reads, for nobody can tell which page a worker's are for. Viewers read what
//    describes a volume in the page, before a worker reads any of it.

/** How long to wait for something beside a refusal that proves to be public. */
const SETTLE = 2000;
/** How many folders to remember; somebody whose viewer tries more hears of no others. */
const MOST = 100;

export class Closed {
  /** Called when there may be something to say. */
  onchange = () => {};

  #cookies;
  #time;
  #roots;
  #open = new Map(); // folder in which something was read that nothing covers → its URL
  #refused = new Map(); // folder → {url, isSettled, isTold}

  /** `roots`: what URLs of data begin with. */
  constructor({ cookies, time, roots }) {
    this.#cookies = cookies;
    this.#time = time;
    this.#roots = new Set(roots.map((root) => new URL(root).href.replace(/\/?$/, "/")));
  }

  /** A read was answered for good: by the object or its absence, or by a refusal that no cookies change. */
  note(url, isRefused) {
    if (isRefused ? !this.#cookies.isClosed(url) : this.#cookies.covers(url)) return;
    const folder = this.#folderOf(url);
    const known = [...(isRefused ? this.#refused : this.#open).keys()];
    if (!folder || known.length >= MOST || known.some((other) => folder.startsWith(other))) return;
    if (isRefused) return this.#refuse(folder, url);
    this.#open.set(folder, url);
    this.onchange();
  }

  /** Whether there is something to say that nobody has answered yet. */
  get isNews() {
    this.#forgetCovered();
    return [...this.#refused].some(([folder, { url, isSettled, isTold }]) =>
      isSettled && !isTold && !this.#isOpen(folder) && !this.#isAbove(folder) && this.#cookies.isClosed(url));
  }

  /** Nobody needs to hear again of what there is now. */
  dismiss() {
    for (const refused of this.#refused.values()) refused.isTold ||= refused.isSettled;
  }

  #refuse(folder, url) {
    const refused = { url, isSettled: false, isTold: false };
    this.#refused.set(folder, refused);
    this.#time.after(SETTLE, () => {
      refused.isSettled = true;
      this.onchange();
    });
  }

  /** Before the service had said what is open, nothing covered what was read. */
  #forgetCovered() {
    for (const [folder, url] of this.#open) if (this.#cookies.covers(url)) this.#open.delete(folder);
  }

  #isAbove(folder) {
    return Boolean(this.#cookies.resources?.some((opened) => opened.startsWith(folder)));
  }

  #isOpen(folder) {
    return [...this.#open.keys()].some((open) => folder.startsWith(open) || open.startsWith(folder));
  }

  #folderOf(url) {
    const { origin, pathname } = new URL(url);
    const folder = origin + pathname.replace(/[^/]*$/, "");
    return pathname.endsWith("/") || this.#roots.has(folder) ? "" : folder;
  }
}
