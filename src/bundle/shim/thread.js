// What every thread has, whether page, worker or service worker.

import { Cookies } from "./cookies.js";
import { dataUrls } from "./data_urls.js";
import { reader } from "./reading.js";
import { askForCookies } from "./service.js";
import { connect } from "./threads.js";

/** `config` is `{site, data}`, as the README has it. */
export function makeThread({ scope, config, time, leads }) {
  const native = scope.fetch;
  const fetch = (...given) => native.apply(scope, given);
  const site = config.site || scope.origin;
  const origins = config.data.map((prefix) => new URL(prefix).origin);
  const dataAt = dataUrls(config.data, scope);
  const threads = connect(scope, site, time);
  const ask = (wanted) => askForCookies({ fetch, site, origins, time, wanted });
  const cookies = new Cookies({ ask, threads, time, leads });
  return { native, dataAt, cookies, read: reader({ fetch, Request: scope.Request, dataAt, cookies }) };
}
