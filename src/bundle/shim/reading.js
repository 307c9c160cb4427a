// Reads data with the person's cookies, and never mistakes their expiry for the absence of the data.

/** How often one read is done again at most. */
const ROUNDS = 2;

/**
 * Returns `read(input, init)`: null where that is no read of data, and otherwise what `fetch` would
 * return, with cookies, and 503 in place of a refusal that only says that there are none.
 */
export function reader({ fetch, Request, dataAt, cookies }) {
  return (input, init) => {
    const asked = describe(input, init, { Request, dataAt });
    if (!asked) return null;
    const attempt = () => fetch(input, asked.init);
    cookies.want();
    return asked.again ? persist(attempt, asked, dataAt, cookies) : attempt();
  };
}

/** What is asked for, or null if it is none of our business. */
function describe(input, init, { Request, dataAt }) {
  const request = input instanceof Request ? input : null;
  const data = dataAt(request ? request.url : input);
  const say = (name, otherwise) => init?.[name] ?? request?.[name] ?? otherwise;
  // Whoever says "omit" means it; "same-origin" is what everybody says who says nothing.
  if (!data || say("credentials") === "omit") return null;
  const again = ["GET", "HEAD"].includes(String(say("method", "GET")).toUpperCase()) && say("mode") !== "no-cors";
  const changed = data.crossOrigin ? withCredentials(request, init, Request) : init;
  return { url: data.url, init: changed, again, signal: say("signal"), isHead: /^head$/i.test(say("method", "GET")) };
}

/** The viewer's own settings, with credentials on top; it may hold on to the object and change it. */
function withCredentials(request, init, Request) {
  const changed = { credentials: "include" };
  // Any setting at all makes the browser forget the referrer that a Request brings along.
  if (request && !init) Object.assign(changed, { referrer: request.referrer, referrerPolicy: request.referrerPolicy });
  // A Request tells its settings to the browser alone, so nothing can stand in for it but another.
  if (init instanceof Request) return new Request(init, changed);
  return Object.create(init ?? null, Object.getOwnPropertyDescriptors(changed));
}

async function persist(attempt, asked, dataAt, cookies) {
  for (let round = 0; ; round += 1) {
    const began = cookies.generation;
    const { answer, error } = await once(attempt, asked.signal);
    if (answer && !isRefusal(answer, dataAt)) {
      if (round > 0) cookies.helped();
      // Where something is absent, the edge has let the read in.
      if (answer.ok || answer.status === 404) cookies.onanswer(asked.url, false);
      return answer;
    }
    const reason = await (round < ROUNDS ? reasonFor(began, asked, cookies) : lastReason(asked, cookies));
    if (reason === "") {
      if (error) throw error;
      return answer;
    }
    answer?.body?.cancel().catch(() => {});
    if (reason === "later") return notNow(asked.isHead);
  }
}

/** A 403 of the edge often lacks CORS headers, which to a script is a broken connection. */
async function once(attempt, signal) {
  try {
    return { answer: await attempt() };
  } catch (error) {
    if (signal?.aborted || error?.name !== "TypeError") throw error;
    return { error };
  }
}

/** What another host says, to which a data host led, is that host's affair. */
function isRefusal(answer, dataAt) {
  return answer.status === 403 && (!answer.redirected || dataAt(answer.url) !== null);
}

/** Enough attempts: an answer is an answer, but not where its cookies could not be had. */
function lastReason({ url }, cookies) {
  if (!cookies.isLater(url)) {
    cookies.onanswer(url, true);
    return "";
  }
  cookies.refuse();
  return "later";
}

async function reasonFor(began, { url, signal }, cookies) {
  let reason = cookies.explain(began, url);
  if (reason === "renew") {
    await unlessAborted(cookies.renew(url), signal);
    reason = cookies.explain(began, url);
  }
  if (reason === "retry" || reason === "") return reason;
  cookies.refuse();
  await unlessAborted(cookies.hold(signal), signal);
  reason = cookies.explain(began, url);
  return reason === "renew" ? "later" : reason;
}

function unlessAborted(work, signal) {
  if (!signal) return work;
  return new Promise((done, fail) => {
    const abort = () => fail(signal.reason ?? new DOMException("The read was aborted.", "AbortError"));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(() => {
      signal.removeEventListener("abort", abort);
      done();
    });
  });
}

/** Viewers take 403 and a broken connection for "absent", and keep that; 503 they ask again. */
function notNow(isHead) {
  const headers = { "retry-after": "5", "cache-control": "no-store", "content-type": "text/plain" };
  const text = "edgemint: there are no cookies for this just now; see window.edgemint.state";
  return new Response(isHead ? null : text, { status: 503, statusText: "No Cookies Now", headers });
}
