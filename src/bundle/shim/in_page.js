// The page's part of the shim, which workers need none of.

import { restoreFragment } from "./fragment.js";
import { Page } from "./page.js";
import { patchImages } from "./patch_images.js";
import { register } from "./registration.js";

/** Before the viewer's own scripts look at the address. */
export function beginPage(scope, config, time, saved) {
  saved(() => restoreFragment(scope, time.now()));
  // Where it fails, the page reads by itself.
  register(scope, config, time).catch(() => {});
}

/** `reads`: whether the page reads by itself, and no service worker does. */
export function placeInPage(scope, config, time, { cookies, dataAt }, reads) {
  new Page({ cookies, scope, time, site: config.site, data: config.data }).start();
  if (reads) patchImages(scope, dataAt, cookies);
}
