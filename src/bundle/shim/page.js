// What only a page does: renews in time, says when sign-in is needed, and goes there and back.

import { Banner } from "./banner.js";
import { Closed } from "./closed.js";
import { keepFragment, wayBack } from "./fragment.js";
import { makeHook } from "./hook.js";

const FIRST_WAIT = 5000;
const LONGEST_WAIT = 30_000;
/** A timer of a browser counts no further than 24 days; a page looks again each quarter of an hour. */
const LONGEST_TIMER = 900_000;
/** How long the service may be silent before that is worth a banner. */
const TROUBLE = 15_000;
const LEDGER = /(^|; )__Host-edgemint-set-/;

const SIGNED_OUT = "You are not signed in, so private data is missing here. It comes back when you are.";
const NO_ACCESS = "Some of what this page asks for needs access that you do not have.";
const TROUBLED = "Your access cannot be renewed just now, so private data is missing here. This page keeps trying.";

export class Page {
  #cookies;
  #scope;
  #time;
  #site;
  #banner;
  #closed;
  #hook;
  #state = "unknown";
  #wait = FIRST_WAIT;
  #cancel = () => {};
  #answered = false; // whether somebody has dismissed the banner, or shows one of their own
  #announced = false;
  #closedAnnounced = false;

  /** `site` is the service's origin, or empty where it is the page's own; `data` what URLs of data begin with. */
  constructor({ cookies, scope, time, site, data }) {
    this.#cookies = cookies;
    this.#scope = scope;
    this.#time = time;
    this.#site = site;
    this.#banner = new Banner(scope.document);
    this.#closed = new Closed({ cookies, time, roots: data });
    this.#hook = makeHook({ cookies, signIn: () => this.#signIn() });
  }

  start() {
    const { document } = this.#scope;
    if (!("edgemint" in this.#scope)) {
      Object.defineProperty(this.#scope, "edgemint", { value: this.#hook, configurable: true, writable: true });
    }
    this.#cookies.onchange = () => this.#changed();
    this.#cookies.onanswer = (url, isRefused) => this.#closed.note(url, isRefused);
    this.#closed.onchange = () => this.#show();
    for (const type of ["focus", "online", "pageshow"]) this.#scope.addEventListener(type, () => this.#wake());
    document.addEventListener("visibilitychange", () => this.#wake());
    // Where a browser tells, cookies that somebody has taken away are missed before anything is read.
    this.#scope.cookieStore?.addEventListener("change", ({ deleted }) => deleted?.length && this.#miss());
    if (this.#hasLedger()) this.#cookies.want();
    else if (!this.#site) this.#cookies.doubt();
  }

  /** Whether this browser was given cookies here: if not, there is nothing to ask before data is read. */
  #hasLedger() {
    try {
      return LEDGER.test(this.#scope.document.cookie);
    } catch {
      return false;
    }
  }

  #miss() {
    if (this.#cookies.isAlive() && !this.#site && !this.#hasLedger()) this.#cookies.renew();
  }

  #wake() {
    if (this.#scope.document.hidden) return;
    if (this.#cookies.untilDue() === 0) this.#cookies.renew();
    this.#arm();
  }

  #changed() {
    const { state } = this.#cookies;
    if (this.#cookies.isAlive() && !this.#cookies.refused) {
      this.#wait = FIRST_WAIT;
      this.#answered = this.#announced = false;
    }
    this.#arm();
    this.#show();
    if (state === this.#state) return;
    this.#state = state;
    this.#hook.dispatchEvent(new CustomEvent("change", { detail: { state } }));
  }

  #arm() {
    this.#cancel();
    const left = this.#untilNext();
    if (left !== Infinity) this.#cancel = this.#time.after(Math.min(Math.ceil(left), LONGEST_TIMER), () => this.#tick());
  }

  /** Milliseconds until it is time to ask without being told to. */
  #untilNext() {
    const { state, isSignedOut, refused } = this.#cookies;
    if (state === "renewing" || state === "no-access") return Infinity;
    if (!isSignedOut) return this.#cookies.untilDue();
    if (!refused || this.#scope.document.hidden) return Infinity;
    return Math.max(this.#cookies.untilAsking(this.#wait), this.#cookies.untilAsking());
  }

  #tick() {
    if (this.#untilNext() > 0) return this.#arm();
    if (this.#cookies.isSignedOut) this.#wait = Math.min(this.#wait * 1.5, LONGEST_WAIT);
    this.#cookies.renew();
  }

  #show() {
    const { refused, isSignedOut, trouble } = this.#cookies;
    const needed = refused && (isSignedOut || trouble > TROUBLE);
    if (!needed) return this.#showClosed();
    if (this.#answered || !this.#announce()) return this.#banner.hide();
    this.#banner.show(isSignedOut ? SIGNED_OUT : TROUBLED, "Sign in", {
      prepare: (link) => this.#lead(link),
      leave: () => this.#keep(),
      dismiss: () => this.#dismiss(),
    });
  }

  /** Signing in again cannot help: the page of the session says who is signed in, and what that opens. */
  #showClosed() {
    if (this.#closed.isNews && !this.#announceClosed()) this.#closed.dismiss();
    if (!this.#closed.isNews) {
      this.#closedAnnounced = false;
      return this.#banner.hide();
    }
    this.#banner.show(NO_ACCESS, "What you may see", {
      prepare: (link) => point(link, `${this.#site || this.#scope.origin}/session`, "_blank"),
      leave() {},
      dismiss: () => this.#dismissClosed(),
    });
  }

  #dismissClosed() {
    this.#closed.dismiss();
    this.#showClosed();
  }

  /** Returns whether a banner is to be shown. Whoever prevents the event's default shows their own. */
  #announce() {
    if (this.#announced) return true;
    this.#announced = true;
    this.#answered = !this.#offer("signinrequired", { url: this.#loginUrl() });
    return !this.#answered;
  }

  #announceClosed() {
    this.#closedAnnounced ||= this.#offer("accessrequired", {});
    return this.#closedAnnounced;
  }

  #offer(type, detail) {
    return this.#hook.dispatchEvent(new CustomEvent(type, { cancelable: true, detail }));
  }

  #dismiss() {
    this.#answered = true;
    this.#banner.hide();
  }

  /** Sign-in leads back to paths of the service alone. */
  #loginUrl() {
    const back = this.#site ? "/session" : wayBack(this.#scope.location);
    return `${this.#site || this.#scope.origin}/session/login?return_to=${encodeURIComponent(back)}`;
  }

  /** From another host, or out of a frame, sign-in is a tab of its own: this one finds out. */
  #isApart() {
    return Boolean(this.#site) || this.#scope.top !== this.#scope.self;
  }

  #lead(link) {
    point(link, this.#loginUrl(), this.#isApart() ? "_blank" : "");
  }

  #signIn() {
    this.#keep();
    if (this.#isApart()) this.#scope.open(this.#loginUrl(), "_blank", "noopener");
    else this.#scope.location.assign(this.#loginUrl());
  }

  #keep() {
    if (this.#isApart()) return;
    try {
      keepFragment(this.#scope, this.#time.now());
    } catch {
      // No storage, or no room in it: the view is lost, and sign-in is not.
    }
  }
}

function point(link, href, target) {
  Object.assign(link, { href, target, rel: "noopener" });
}
