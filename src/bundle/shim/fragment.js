// The part of the address after `#`: it never reaches a server, and a form of a login page loses it.

const KEPT = "edgemint.fragment";
const LONGEST_AGE = 15 * 60_000;
/** In characters. A view of a viewer has a few thousand. */
const LONGEST = 200_000;

/** Keeps it in this tab for whoever comes back to this page within a quarter of an hour. */
export function keepFragment({ location, sessionStorage }, now) {
  const { hash } = location;
  if (hash.length < 2 || hash.length > LONGEST) return;
  sessionStorage.setItem(KEPT, JSON.stringify({ page: page(location), hash, at: now }));
}

/** Puts it back, unless the page was opened with one; in either case it is kept no longer. */
export function restoreFragment({ location, history, sessionStorage }, now) {
  const kept = parse(sessionStorage.getItem(KEPT));
  const age = kept ? now - kept.at : Infinity;
  const old = !(age >= 0 && age < LONGEST_AGE);
  if (!old && kept.page !== page(location)) return;
  sessionStorage.removeItem(KEPT);
  if (old || location.hash.length > 1) return;
  history.replaceState(history.state, "", location.href.split("#")[0] + kept.hash);
}

const page = ({ pathname, search }) => pathname + search;

function parse(text) {
  try {
    const kept = JSON.parse(text);
    return typeof kept?.hash === "string" && kept.hash[0] === "#" ? kept : null;
  } catch {
    return null;
  }
}
