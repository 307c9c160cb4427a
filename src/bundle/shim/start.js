// Puts everything in its place in a page or a worker, once.

import { restoreFragment } from "./fragment.js";
import { Page } from "./page.js";
import { patchFetch } from "./patch_fetch.js";
import { patchImages } from "./patch_images.js";
import { patchXhr } from "./patch_xhr.js";
import { register } from "./registration.js";
import { makeThread } from "./thread.js";

const STARTED = Symbol.for("edgemint.shim");

/** Never throws: what fails here leaves the viewer as it was without the shim. */
export function start(scope, config, time) {
  if (scope[STARTED] || typeof scope.fetch !== "function" || isServiceWorker(scope)) return;
  Object.defineProperty(scope, STARTED, { value: true });
  const isPage = Boolean(scope.document);
  if (isPage) saved(() => restoreFragment(scope, time.now()));
  if (isPage) register(scope, config.worker, time).catch(() => {});
  saved(() => place(scope, config, time, isPage));
}

function place(scope, config, time, isPage) {
  // Beside a service worker, which reads for the whole origin, only the page has something to do.
  if (!config.data.length || (config.worker && !isPage)) return;
  const { native, dataAt, cookies, read } = makeThread({ scope, config, time, leads: isPage });
  if (isPage) new Page({ cookies, scope, time, site: config.site }).start();
  if (config.worker) return;
  patchFetch(scope, native, read);
  patchXhr(scope, dataAt, cookies);
  if (isPage) patchImages(scope, dataAt, cookies);
}

const isServiceWorker = (scope) => typeof scope.ServiceWorkerGlobalScope === "function" && scope instanceof scope.ServiceWorkerGlobalScope;

function saved(work) {
  try {
    work();
  } catch (error) {
    console.warn("edgemint:", error);
  }
}
