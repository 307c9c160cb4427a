// Makes the minified files: node src/bundle/shim/build.mjs [FOLDER]
//
// Into this folder, or into another for comparison. The esbuild of tests/tools is pinned, so the bytes are
// the same on every machine.

import { createRequire } from "node:module";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import path from "node:path";

const here = path.dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(path.join(here, "../../../tests/tools/package.json"))("esbuild");
const folder = process.argv[2] ?? here;

for (const name of ["shim", "worker", "service_worker"]) {
  const { outputFiles } = await build({
    entryPoints: [path.join(here, `${name}.js`)],
    bundle: true,
    minify: true,
    format: "iife",
    // What prepends it to a script may know nothing of that script's encoding.
    charset: "ascii",
    target: "es2022",
    legalComments: "none",
    write: false,
  });
  const [{ text }] = outputFiles;
  if (text.split("EDGEMINT_CONFIG").length !== 2) throw new Error(`${name} must name EDGEMINT_CONFIG once`);
  if (/<\/script|<!--/i.test(text)) throw new Error(`${name} cannot stand within HTML`);
  await writeFile(path.join(folder, `${name}.min.js`), text);
  console.log(`${name}.min.js: ${text.length} bytes, ${gzipSync(await readFile(path.join(folder, `${name}.min.js`)), { level: 9 }).length} compressed`);
}
