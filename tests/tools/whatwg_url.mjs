// Resolves a redirect's Location as browsers do (WHATWG URL, which Node.js implements).
import { serve } from "./lines.mjs";

await serve(({ page, location }) => {
  let url;
  try {
    url = new URL(location, page);
  } catch {
    // A browser goes nowhere.
    return { ok: false };
  }
  return { ok: true, origin: url.origin, href: url.href };
});
