// The service worker: the same for everything that an origin reads, for viewers that the shim cannot reach.

import { removeIfGone } from "./kill_switch.js";
import { makeThread } from "./thread.js";
import { systemTime } from "./time.js";

serve(globalThis, EDGEMINT_CONFIG, systemTime);

/** Without data to read, or where the service has it no more, the worker removes itself. */
function serve(scope, config, time) {
  const wanted = Boolean(config?.data?.length);
  const { dataAt, read } = wanted ? makeThread({ scope, config, time, leads: false }) : { dataAt: () => null };
  scope.addEventListener("install", () => scope.skipWaiting());
  scope.addEventListener("activate", (event) => event.waitUntil(wanted ? scope.clients.claim() : scope.registration.unregister()));
  scope.addEventListener("message", (event) => {
    if (event.data?.edgemint === "claim") event.waitUntil(scope.clients.claim());
  });
  let checked = false;
  scope.addEventListener("fetch", (event) => {
    // Once in each of the worker's short lives.
    if (!checked) event.waitUntil(removeIfGone(scope));
    checked = true;
    const { request } = event;
    const ours = dataAt(request.url) && request.mode !== "no-cors" && request.mode !== "navigate";
    const answer = ours && read(request);
    if (answer) event.respondWith(answer);
  });
}
