// How a service worker finds out that its site wants it no more.

/**
 * Unregisters where the worker's own script is gone: 404 or 410, or something else in its place, as from a site
 * that answers every path with its front page. A redirect, which is a sign-in, a firewall's
 * challenge and a site in trouble say nothing.
 */
export async function removeIfGone(scope) {
  const asked = { method: "HEAD", cache: "no-store", redirect: "manual" };
  const answer = await scope.fetch(scope.location.href, asked).catch(() => null);
  if (answer && isGone(answer)) await scope.registration.unregister();
}

function isGone({ status, headers }) {
  // Firewalls say 202 to whoever they want to try first.
  if (status !== 200) return status === 404 || status === 410;
  return !/javascript|ecmascript/i.test(headers.get("content-type") ?? "");
}
