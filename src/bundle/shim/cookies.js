// What this thread knows of the cookies, which it can never see: until when they live, whether somebody
// is signed in, and whether a refused read is explained by that. Renews them, one thread at a time.
//
// 1. Times are ages since the answer came; see time.js.
// 2. Whoever renews tells all other threads and tabs; whoever hears it while waiting does not ask again.
// 3. Each renewal is a new generation. A read that began under an older one is simply done again.
// 4. A refusal while cookies live means that the thing is absent, as S3 says 403 for that. The first is
//    looked into at once, another in half a minute, and more seldom each time that this was for nothing;
//    all threads together.
// 5. A host that did not take its handoff is asked for again, and meanwhile its refusals say nothing.
// 6. What a person may see can take more cookies than fit into an answer. The rest is asked for when a read
//    that needs it is refused.

import { parseOutcome } from "./service.js";
import { stopwatch } from "./time.js";

/** Cookies this close to their end count as expired: the clocks of edge and service differ a little. */
const MARGIN = 10_000;
/** The least milliseconds between two questions of one thread. */
const GAP = 1000;
const LONGEST_PAUSE = 30_000;
const PROBE = 30_000;
const LONGEST_PROBE = 600_000;
/** How often somebody without access is looked at again, when they return to the tab. */
const NO_ACCESS = 60_000;
const TELL_REFUSAL = 2000;
/** How long refused reads get their 503 at once, and how long each is held after that. */
const AT_ONCE = 30_000;
const HOLD = 60_000;

export class Cookies {
  /** Grows with every renewal, whichever thread it was that asked. */
  generation = 0;
  /** Whether a read was answered by 503 since there were cookies last. */
  refused = false;
  /** Called after anything has changed. */
  onchange = () => {};
  /** Called with the URL of a read that was answered for good, and whether that was a refusal. */
  onanswer = () => {};

  #ask;
  #threads;
  #time;
  #random;
  #leads;
  #last = null; // the outcome that counts
  #left = null; // milliseconds of life, as a function; null where nothing is known
  #refusal = ""; // "signed-out" or "no-access"
  #asked = null; // stopwatch since the last question
  #pause = 0; // how long to leave the service alone after that
  #failures = 0;
  #trouble = null; // stopwatch since the service has not given an answer
  #missed = 0; // renewals in a row after which a host was missing
  #probed = null; // stopwatch since a refusal was looked into while cookies lived
  #probe = 0; // how long to believe refusals after that
  #refusedFor = null; // stopwatch since a read was answered by 503
  #held = new Set(); // what ends the waiting of refused reads
  #told = null; // stopwatch since the others heard of a refused read
  #news = 0; // outcomes of other threads
  #wanted = false;
  #renewing = null;
  #renewed = null; // ends the waiting for #renewing
  #sets = new Map(); // beginnings of URLs with cookies of their own → {came, age, lasts}: what came of asking for them
  #demands = new Map(); // the same → the question under way

  /** `leads`: answers threads that have just begun; a page does. */
  constructor({ ask, threads, time, random = Math.random, leads = false }) {
    this.#ask = ask;
    this.#threads = threads;
    this.#time = time;
    this.#random = random;
    this.#leads = leads;
    threads.listen((message) => this.#hear(message));
    if (!leads) threads.tell({ kind: "question" });
  }

  /** "unknown", "fresh", "renewing", "signed-out" or "no-access". */
  get state() {
    if (this.#renewing) return "renewing";
    return this.isAlive() ? "fresh" : this.#refusal || "unknown";
  }

  /** Milliseconds until the cookies end; null where that is not known. */
  get expiresIn() {
    return this.#left ? Math.max(0, this.#left()) : null;
  }

  /** Milliseconds for which the service has not answered the question. */
  get trouble() {
    return this.#trouble ? this.#trouble() : 0;
  }

  get isSignedOut() {
    return this.#refusal === "signed-out";
  }

  /** What cookies open, or would if they were asked for; null where the service has not said so. */
  get resources() {
    return this.isAlive() ? this.#last.opens : null;
  }

  covers(url) {
    return Boolean(this.resources?.some((opened) => isUnder(url, opened)));
  }

  /** Whether the service has said that a URL is not this person's to see. */
  isClosed(url) {
    if (this.#trouble) return false;
    if (!this.isAlive()) return this.#refusal === "no-access";
    return this.#cameOf(url) === "refused" || (this.resources !== null && !this.covers(url));
  }

  isAlive() {
    return this.#left !== null && this.#left() > Math.min(MARGIN, this.#last.expiresIn / 10);
  }

  /** Whether cookies are needed first: it is known that there are none, and not that there can be none. */
  isStale() {
    return !this.isAlive() && !this.#refusal && (this.#renewing !== null || (this.#left !== null && this.mayAsk()));
  }

  mayAsk() {
    return this.untilAsking() === 0;
  }

  /** Milliseconds before the service may be asked again. */
  untilAsking(least = this.#pause) {
    return this.#asked ? Math.max(0, least - this.#asked()) : 0;
  }

  /** Milliseconds until it is time to renew; Infinity where there is nothing to renew. */
  untilDue() {
    if (this.#refusal === "no-access") return this.untilAsking(NO_ACCESS);
    if (this.#refusal) return this.untilAsking();
    if (!this.#left) return this.#trouble ? this.untilAsking() : Infinity;
    const due = this.#left() - this.#last.expiresIn + this.#last.refreshIn;
    return Math.max(0, due, this.untilAsking());
  }

  /** Something is about to be read: the first time, a page finds out until when that will go well. */
  want() {
    if (this.#wanted) return;
    this.#wanted = true;
    if (!this.#leads) this.#threads.tell({ kind: "want" });
    else if (!this.#asked) this.renew();
  }

  /**
   * Renews, unless that was just tried; whoever calls meanwhile gets the same. Never rejects. For a URL that
   * needs cookies of its own, it gets those.
   */
  renew(url = "") {
    const set = this.isAlive() ? this.#lacking(url) : "";
    if (set) return this.#demand(set, url);
    if (!this.#renewing && this.mayAsk()) {
      const renewing = new Promise((done) => (this.#renewed = done));
      this.#renewing = renewing;
      const news = this.#news;
      const turn = this.#threads.inTurn(() => this.#renewOnce(news));
      turn.then(() => this.#renewing === renewing && this.#end());
      this.onchange();
    }
    return this.#renewing ?? Promise.resolve();
  }

  /**
   * What explains that a read of a URL was refused, which began under this generation:
   *
   * - "retry": there have been new cookies since;
   * - "renew": perhaps new cookies help: renew, then ask again what explains it;
   * - "later": there are no cookies just now, and the answer says nothing about what was read;
   * - "": nothing; it is a true answer.
   */
  explain(began, url) {
    const reason = this.#reason(began, url);
    if (reason === "") this.onanswer(url, true);
    return reason;
  }

  #reason(began, url) {
    if (began < this.generation) return "retry";
    if (this.#renewing) return "renew";
    if (this.#refusal === "no-access") return "";
    if (this.#refusal) return "later";
    if (!this.isAlive()) return this.mayAsk() ? "renew" : "later";
    if (this.#lacking(url)) return "renew";
    const came = this.#cameOf(url);
    if (came === "later") return came;
    if (this.#isMissing(url)) return this.mayAsk() ? "renew" : "later";
    if (came === "refused") return "";
    if (!this.mayAsk() || (this.#probed && this.#probed() < this.#probe)) return "";
    this.#noteProbe({ at: this.#time.now(), pause: this.#probe * 2 });
    this.#threads.tell({ kind: "probe", ...this.#lastProbe() });
    // What has cookies of its own needs those anew.
    this.#sets.delete(this.#setOf(url));
    return "renew";
  }

  #noteProbe({ at, pause }) {
    if (!Number.isFinite(at) || !Number.isFinite(pause)) return;
    this.#probed = stopwatch(this.#time, at);
    this.#probe = Math.min(Math.max(pause, PROBE), LONGEST_PROBE);
  }

  #lastProbe() {
    return this.#probed ? { at: this.#time.now() - this.#probed(), pause: this.#probe } : {};
  }

  /** Whether the cookies of a URL could not be had, so that its refusal says nothing. */
  isLater(url) {
    return this.isAlive() && (this.#isMissing(url) || this.#cameOf(url) === "later");
  }

  /** Whether a URL's host did not take its handoff. */
  #isMissing(url) {
    return this.#last.missing.includes(originOf(url));
  }

  /** A read that was done again went well: refusals may mean something. */
  helped() {
    this.#probe = Math.min(this.#probe, PROBE);
  }

  /** There seem to be no cookies any more, perhaps since somebody has signed out: pages look into it. */
  doubt() {
    this.#threads.tell({ kind: "doubt" });
  }

  /** A read got 503 instead of its refusal. Every page hears of it, so that one can say so. */
  refuse() {
    if (!this.#told || this.#told() > TELL_REFUSAL) {
      this.#told = stopwatch(this.#time);
      this.#threads.tell({ kind: "refused" });
    }
    this.#noteRefusal();
  }

  /**
   * Waits for what a refused read waits for, a while: viewers ask again a few dozen times and then give up,
   * and people take longer to come back. Ends when the read is aborted.
   */
  hold(signal) {
    if (signal?.aborted || !this.#refusedFor || this.#refusedFor() < AT_ONCE) return Promise.resolve();
    return new Promise((done) => {
      const end = () => {
        cancel();
        this.#held.delete(end);
        signal?.removeEventListener("abort", end);
        done();
      };
      const cancel = this.#time.after(HOLD, end);
      this.#held.add(end);
      signal?.addEventListener("abort", end);
    });
  }

  #release() {
    for (const end of this.#held) end();
  }

  /** The beginning of a URL that needs cookies of its own, if they were not asked for lately. */
  #lacking(url) {
    const set = this.#setOf(url);
    return set && !this.#cameOf(url) ? set : "";
  }

  #setOf(url) {
    return url && this.#last?.onDemand?.find((beginning) => url.startsWith(beginning));
  }

  /** What came of asking for the cookies of a URL: "given", "refused" or "later"; "" where it is time to ask. */
  #cameOf(url) {
    const known = this.#sets.get(this.#setOf(url));
    return known && known.age() < known.lasts ? known.came : "";
  }

  #demand(set, url) {
    const demand = this.#demands.get(set) ?? this.#threads.inTurn(() => this.#demandOnce(set, url));
    this.#demands.set(set, demand);
    return demand.then(() => void this.#demands.delete(set));
  }

  async #demandOnce(set, url) {
    if (!this.#lacking(url)) return false;
    const outcome = await this.#ask(url);
    if (outcome.state === "signed-out") this.#accept(outcome);
    const came = whatCame(outcome, url);
    // Where it came to nothing, it is left alone for a while.
    const news = { kind: "set", set, came, at: outcome.at, lasts: came === "given" ? outcome.expiresIn * 0.9 : PROBE };
    this.#note(news);
    this.#threads.tell(news);
    return true;
  }

  #note({ set, came, at, lasts }) {
    if (typeof set !== "string" || !["given", "refused", "later"].includes(came)) return;
    if (!Number.isFinite(at) || !Number.isFinite(lasts)) return;
    this.#sets.set(set, { came, age: stopwatch(this.#time, at), lasts });
    if (came === "given") this.generation += 1;
  }

  /** Returns whether it asked. There is no need to if another thread did while this one waited. */
  async #renewOnce(news) {
    if (this.#news !== news) return false;
    const outcome = await this.#ask();
    this.#accept(outcome);
    this.#threads.tell({ kind: "outcome", ...outcome });
    return true;
  }

  #end() {
    this.#renewed?.();
    this.#renewing = this.#renewed = null;
    this.onchange();
  }

  #hear(message) {
    if (message.kind === "question" && this.#leads && this.#last) {
      this.#threads.tell({ kind: "probe", ...this.#lastProbe() });
      this.#threads.tell({ kind: "known", ...this.#last });
    }
    if (message.kind === "probe") this.#noteProbe(message);
    if (message.kind === "refused") this.#noteRefusal();
    if (message.kind === "set") this.#note(message);
    if (message.kind === "want" && this.#leads) this.want();
    if (message.kind === "doubt" && this.#leads && this.isAlive()) this.renew();
    const outcome = parseOutcome(message);
    if (!outcome) return;
    if (message.kind !== "outcome" && !(message.kind === "known" && !this.#leads && !this.#last)) return;
    this.#news += 1;
    this.#accept(outcome);
    this.#end();
  }

  #noteRefusal() {
    if (this.refused || (this.isAlive() && !this.#missed)) return;
    this.refused = true;
    this.#refusedFor = stopwatch(this.#time);
    this.onchange();
  }

  #accept(outcome) {
    this.#asked = stopwatch(this.#time, outcome.at);
    this.#pause = GAP;
    if (outcome.state === "unavailable") return this.#backOff(outcome.retryAfter);
    this.#failures = 0;
    this.#last = outcome;
    const fresh = outcome.state === "fresh";
    const age = this.#asked;
    this.#left = fresh ? () => outcome.expiresIn - age() : null;
    this.#refusal = fresh ? "" : outcome.state;
    if (outcome.state !== "signed-out") this.#release();
    if (fresh) this.generation += 1;
    if (fresh && outcome.missing.length) return this.#miss();
    this.#missed = 0;
    this.#trouble = null;
    if (!fresh) return;
    this.refused = false;
    this.#refusedFor = null;
  }

  /** There are cookies, but not for every host. */
  #miss() {
    this.#trouble ??= stopwatch(this.#time);
    this.#pause = Math.min(GAP * 2 ** this.#missed, LONGEST_PAUSE);
    this.#missed += 1;
  }

  #backOff(retryAfter) {
    this.#trouble ??= stopwatch(this.#time);
    const wait = Math.min(GAP * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    this.#pause = Math.max(retryAfter, wait * (0.8 + 0.4 * this.#random()));
  }
}

/** What asking for the cookies of one URL came to: only the service can say that it is not to be had. */
function whatCame({ state, missing }, url) {
  if (state === "fresh") return missing.includes(originOf(url)) ? "later" : "given";
  return state === "no-access" ? "refused" : "later";
}

const originOf = (url) => new URL(url).origin;

const isUnder = (url, resource) => (resource.endsWith("*") ? url.startsWith(resource.slice(0, -1)) : url === resource);
