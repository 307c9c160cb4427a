// The shim in a script: any may be a worker's. In a page, the page's own has come before it.

import { start } from "./start.js";
import { systemTime } from "./time.js";

start(globalThis, EDGEMINT_CONFIG, systemTime);
