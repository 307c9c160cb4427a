// The part of the address that sign-in cannot bring back. What stands after `#` never reaches a server, and a
// form of a login page loses it; and a query may be too long to be sent along.

const KEPT = "edgemint.fragment";
const LONGEST_AGE = 15 * 60_000;
/** In characters. A view of a viewer has a few thousand. */
const LONGEST = 200_000;
/** How much of an address sign-in takes along, in bytes as they are sent; the service takes 4096. */
const LONGEST_BACK = 3000;

/** Where sign-in leads back to: path and query, or the path alone, and at worst to the front page. */
export function wayBack({ pathname, search }) {
  return [pathname + search, pathname].find((way) => encodeURIComponent(way).length <= LONGEST_BACK) ?? "/";
}

/** Keeps what that leaves out in this tab, for whoever comes back there within a quarter of an hour. */
export function keepFragment({ location, sessionStorage }, now) {
  const back = wayBack(location);
  const whole = page(location) + location.hash;
  const rest = whole.startsWith(back) ? whole.slice(back.length) : "";
  if (rest.length < 2 || rest.length > LONGEST || !/^[?#]/.test(rest)) return;
  sessionStorage.setItem(KEPT, JSON.stringify({ page: back, rest, at: now }));
}

/** Puts it back, unless the page was opened with one; in either case it is kept no longer. */
export function restoreFragment({ location, history, sessionStorage }, now) {
  const kept = parse(sessionStorage.getItem(KEPT));
  const age = kept ? now - kept.at : Infinity;
  const old = !(age >= 0 && age < LONGEST_AGE);
  if (!old && kept.page !== page(location)) return;
  sessionStorage.removeItem(KEPT);
  if (old || location.hash.length > 1) return;
  // An address may end with a mere "?" or "#".
  const end = kept.rest[0] === "?" ? /[?#].*$/s : /#.*$/s;
  history.replaceState(history.state, "", location.href.replace(end, "") + kept.rest);
}

const page = ({ pathname, search }) => pathname + search;

function parse(text) {
  try {
    const kept = JSON.parse(text);
    return typeof kept?.rest === "string" && /^[?#]/.test(kept.rest) ? kept : null;
  } catch {
    return null;
  }
}
