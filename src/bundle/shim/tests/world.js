// A site that is not there: threads of one browser, its service, its edge, and time that the test moves.

import { makeThread } from "../thread.js";

export const DATA = "https://data.example.org/";
export const SITE = "https://viewer.example.org";
export const FILE = "https://data.example.org/lab-a/chunk";
export const SECOND = 1000;
export const HOUR = 3600 * SECOND;

export class World {
  /** What o'clock the browser believes it is. */
  wall = 1_800_000_000_000;
  /** Milliseconds on its steady clock. */
  steady = 5000;
  /** Every POST to the service, and every read of the edge: {url, init}. */
  posts = [];
  reads = [];
  /** Until when the edge lets this browser in, on the steady clock. */
  letsIn = 0;
  /** What the service answers; cookies for an hour unless a test says otherwise. */
  service = () => this.issue(3600, 2880);
  /** What the edge answers to those without cookies. */
  refusal = () => new Response("", { status: 403 });
  edge = () => (this.steady < this.letsIn ? new Response("data") : this.refusal());

  #timers = [];
  #channels = new Map();
  #turn = Promise.resolve();

  issue(expires_in, refresh_in, more = {}) {
    this.letsIn = this.steady + expires_in * SECOND;
    return Response.json({ expires_at: "2000-01-01T00:00:00Z", expires_in, refresh_in, ...more });
  }

  time = {
    now: () => this.wall,
    steady: () => this.steady,
    after: (milliseconds, work) => {
      const timer = { at: this.steady + milliseconds, work };
      this.#timers.push(timer);
      return () => (this.#timers = this.#timers.filter((other) => other !== timer));
    },
  };

  /** How many timers run. */
  get timers() {
    return this.#timers.length;
  }

  /** Lets time go by, timer by timer. */
  async pass(milliseconds) {
    const until = this.steady + milliseconds;
    for (;;) {
      await settled();
      const next = this.#timers.filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#move(Math.max(0, next.at - this.steady));
      next.work();
    }
    this.#move(until - this.steady);
    await settled();
  }

  #move(milliseconds) {
    this.steady += milliseconds;
    this.wall += milliseconds;
  }

  /** The machine sleeps: the wall's clock goes on, and neither timers nor the steady clock do. */
  sleep(milliseconds) {
    this.wall += milliseconds;
    this.letsIn -= milliseconds;
  }

  /** What a thread finds in its browser. */
  scope({ locks = true, channels = true, location = `${SITE}/` } = {}) {
    const scope = {
      origin: SITE,
      location: new URL(location),
      Request,
      fetch: (url, init) => this.#fetch(url, init),
      navigator: locks ? { locks: { request: (name, options, work) => this.#inTurn(work) } } : {},
    };
    if (channels) scope.BroadcastChannel = this.#channelClass();
    return scope;
  }

  /** A page if it leads, otherwise a worker. */
  thread({ leads = false, config = { site: "", data: [DATA] }, ...browser } = {}) {
    const scope = this.scope(browser);
    return { scope, ...makeThread({ scope, config, time: this.time, leads }) };
  }

  async #fetch(input, init) {
    const url = input.url ?? String(input);
    await null;
    if (init?.signal?.aborted) throw init.signal.reason;
    const call = { url, init };
    if (init?.method === "POST") {
      this.posts.push(call);
      return this.#untilAborted(this.service(call), init.signal);
    }
    this.reads.push(call);
    return this.edge(call);
  }

  #untilAborted(answer, signal) {
    return new Promise((done, fail) => {
      signal?.addEventListener("abort", () => fail(signal.reason));
      Promise.resolve(answer).then(done, fail);
    });
  }

  #inTurn(work) {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #channelClass() {
    const all = this.#channels;
    return class extends EventTarget {
      constructor(name) {
        super();
        this.name = name;
        all.set(name, [...(all.get(name) ?? []), this]);
      }

      postMessage(data) {
        const copy = structuredClone(data);
        const others = all.get(this.name).filter((channel) => channel !== this);
        for (const other of others) setImmediate(() => other.dispatchEvent(new MessageEvent("message", { data: copy })));
      }
    };
  }
}

/** Lets everything happen that needs no time. */
export async function settled() {
  for (let turn = 0; turn < 12; turn += 1) await new Promise((done) => setImmediate(done));
}

export const networkError = () => {
  throw new TypeError("Failed to fetch");
};

export const problem = (status, kind, headers = {}) =>
  new Response(JSON.stringify({ type: `urn:edgemint:problem:${kind}`, status }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
