// The shim: makes an unmodified viewer read private data with the person's cookies.
//
// It stands first in every page of a viewer bundle; worker.js is the part of it that stands first in every
// script. The README says what it does; each file here is one part of it. The server puts its
// configuration in the place of EDGEMINT_CONFIG.

import * as page from "./in_page.js";
import { start } from "./start.js";
import { systemTime } from "./time.js";

start(globalThis, EDGEMINT_CONFIG, systemTime, globalThis.document && page);
