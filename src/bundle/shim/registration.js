// The page's side of the service worker: puts it in place, or removes it where it is not wanted any more.

const PATH = "/session/worker.js";
const RELOADED = "edgemint.reloaded";
const ONCE_IN = 60_000;

/** The path of the worker that there is to be, or nothing. The page of another site can have none of the service's. */
export const wantedWorker = ({ site, worker }) => (site ? "" : worker);

/** Rejects where the browser does. */
export async function register(scope, config, time) {
  const workers = scope.navigator?.serviceWorker;
  if (!workers || config.site) return;
  const worker = wantedWorker(config);
  if (!worker) return remove(workers, scope.origin + PATH);
  const first = !(await workers.getRegistration("/"))?.active;
  if (!workers.controller) workers.addEventListener("controllerchange", () => first && reloadOnce(scope, time), { once: true });
  const registration = await workers.register(worker, { scope: "/", updateViaCache: "none" });
  // After a reload with Shift there is a worker, and it does not control the page.
  if (!workers.controller) registration.active?.postMessage({ edgemint: "claim" });
}

async function remove(workers, url) {
  for (const registration of await workers.getRegistrations()) {
    if (registration.active?.scriptURL === url) await registration.unregister();
  }
}

/** What was read before the worker was there was read without cookies. */
function reloadOnce({ sessionStorage, location }, time) {
  const age = time.now() - Number(sessionStorage.getItem(RELOADED));
  if (age >= 0 && age < ONCE_IN) return;
  sessionStorage.setItem(RELOADED, String(time.now()));
  location.reload();
}
