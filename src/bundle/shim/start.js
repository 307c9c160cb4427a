// Puts everything in its place in a page or a worker, once.

import { patchFetch } from "./patch_fetch.js";
import { patchXhr } from "./patch_xhr.js";
import { wantedWorker } from "./registration.js";
import { makeThread } from "./thread.js";

const STARTED = Symbol.for("edgemint.shim");

/**
 * Never throws: what fails here leaves the viewer as it was without the shim. `page` is the page's part; in a
 * script that finds itself in a page, it has been there since the page began.
 */
export function start(scope, config, time, page = null) {
  if (scope[STARTED] || typeof scope.fetch !== "function" || isServiceWorker(scope)) return;
  Object.defineProperty(scope, STARTED, { value: true });
  page?.beginPage(scope, config, time, saved);
  saved(() => place(scope, config, time, page));
}

function place(scope, config, time, page) {
  if (!config.data.length) return;
  const thread = makeThread({ scope, config, time, leads: Boolean(page) });
  const reads = !isControlled(scope, config);
  page?.placeInPage(scope, config, time, thread, reads);
  if (!reads) return;
  patchFetch(scope, thread.native, thread.read);
  patchXhr(scope, thread.dataAt, thread.cookies);
}

/**
 * Whether a service worker reads for this page already. Where there is none yet, there may never be one: a
 * browser may lack them or refuse this one. Workers cannot know; to read by both does no harm.
 */
function isControlled({ navigator, origin }, config) {
  if (!wantedWorker(config)) return false;
  try {
    return navigator?.serviceWorker?.controller?.scriptURL === origin + config.worker;
  } catch {
    // In a sandboxed frame, a look at them is an error already.
    return false;
  }
}

const isServiceWorker = (scope) => typeof scope.ServiceWorkerGlobalScope === "function" && scope instanceof scope.ServiceWorkerGlobalScope;

function saved(work) {
  try {
    work();
  } catch (error) {
    console.warn("edgemint:", error);
  }
}
