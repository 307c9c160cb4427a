// Asks the service for cookies, and says in one word what came of it.

/** The most milliseconds that asking may take, handing over to other hosts included. */
const LIMIT = 10_000;
const DAY = 86_400_000;
/** When to ask again if a host did not take its handoff. */
const AGAIN = 30_000;

/**
 * Renews the cookies, or gets those that open the URL `wanted`. Never rejects. Returns an outcome, whose
 * times are in milliseconds:
 *
 * - `{state: "fresh", at, expiresIn, refreshIn, opens, onDemand, missing}`: there are new cookies, counted from `at`;
 *   they open the resources `opens`, or nobody has said which, if that is null; what begins with a URL in `onDemand` has cookies of its own, which did not fit; the origins in `missing`
 *   did not take their handoff, so nobody knows what a refusal of theirs means;
 * - `{state: "signed-out", at}`: signing in can help;
 * - `{state: "no-access", at}`: it cannot, no rule opens anything;
 * - `{state: "unavailable", at, retryAfter}`: nobody knows just now.
 */
export async function askForCookies({ fetch, site, origins, time, wanted = "" }) {
  const patience = new AbortController();
  const cancel = time.after(LIMIT, () => patience.abort());
  const post = (url, init) =>
    fetch(url, { method: "POST", credentials: "include", redirect: "manual", cache: "no-store", signal: patience.signal, ...init });
  try {
    const query = wanted && `?for=${encodeURIComponent(wanted)}`;
    const answer = await post(`${site}/session/cookies${query}`, { headers: { accept: "application/json" } });
    const at = time.now();
    return parseOutcome({ ...(await judge(answer, post, origins)), at }) ?? unavailable(at);
  } catch {
    return unavailable(time.now());
  } finally {
    cancel();
  }
}

const unavailable = (at, retryAfter = 0) => ({ state: "unavailable", at, retryAfter });

async function judge(answer, post, origins) {
  // A load balancer that authenticates where it should allow leads to its login page.
  if (answer.type === "opaqueredirect") return { state: "signed-out" };
  const body = (await answer.json().catch(() => null)) ?? {};
  // A refusal has handoffs too: by them, other hosts take away what they gave.
  const given = await handOver(body, post, origins);
  if (answer.ok) return given;
  const kind = String(body?.type).split(":").pop();
  if (answer.status === 401 && kind !== "session-unchecked") return { state: "signed-out" };
  if (answer.status === 403 && kind === "no-access") return { state: "no-access" };
  return { state: "unavailable", retryAfter: seconds(answer.headers.get("retry-after")) };
}

/** Takes each handoff token to its host, which sets cookies of its own. The soonest to end counts. */
async function handOver(body, post, origins) {
  const handoffs = Array.isArray(body.handoffs) ? body.handoffs : [];
  const lives = await Promise.all([life(body), ...handoffs.map((handoff) => exchange(handoff, post, origins))]);
  const least = (name) => Math.min(...lives.map((one) => one[name]).filter(Number.isFinite));
  const all = (name) => lives.flatMap((one) => one[name] ?? []);
  const opens = lives[0].opens && all("opens");
  return { state: "fresh", expiresIn: least("expiresIn"), refreshIn: least("refreshIn"), opens, onDemand: all("onDemand"), missing: all("missing") };
}

function life({ expires_in, refresh_in, resources, on_demand }) {
  const opens = Array.isArray(resources) ? resources.concat(on_demand ?? []) : null;
  return { expiresIn: seconds(expires_in), refreshIn: seconds(refresh_in), opens, onDemand: on_demand };
}

async function exchange(handoff, post, origins) {
  const origin = originOf(handoff?.url);
  // A token is worth cookies, so it goes to hosts of data and to nobody else.
  if (!origins.includes(origin)) return {};
  const failed = { refreshIn: AGAIN, missing: [origin] };
  try {
    const answer = await post(handoff.url, { headers: { accept: "application/json", "content-type": "text/plain" }, body: handoff.token });
    const given = answer.ok && life(await answer.json());
    if (Number.isFinite(given?.expiresIn)) return given;
    // Only where the service itself says that no rule opens anything there, a refusal is one.
    return answer.status === 403 && (await kindOf(answer)) === "no-access" ? {} : failed;
  } catch {
    return failed;
  }
}

const kindOf = async (answer) => String((await answer.json().catch(() => null))?.type).split(":").pop();

function originOf(url) {
  try {
    return new URL(url).origin;
  } catch {
    return null;
  }
}

const seconds = (text) => Number(text ?? NaN) * 1000;

/** An outcome, from the service or from another thread, or null if it makes no sense. */
export function parseOutcome(said) {
  const { state, at } = said;
  if (!Number.isFinite(at)) return null;
  if (state === "signed-out" || state === "no-access") return { state, at };
  if (state === "unavailable") return unavailable(at, between(0, said.retryAfter, DAY) ?? 0);
  if (state !== "fresh") return null;
  const expiresIn = between(1000, said.expiresIn, DAY);
  if (!expiresIn) return null;
  const refreshIn = between(1000, said.refreshIn, expiresIn) ?? expiresIn * 0.8;
  const onDemand = texts(said.onDemand).map((text) => text.replace(/\*$/, ""));
  const opens = Array.isArray(said.opens) ? texts(said.opens) : null;
  return { state, at, expiresIn, refreshIn, opens, onDemand, missing: texts(said.missing) };
}

const texts = (list) => (Array.isArray(list) ? list.filter((text) => typeof text === "string") : []);

function between(least, value, most) {
  return Number.isFinite(value) ? Math.min(Math.max(value, least), most) : undefined;
}
