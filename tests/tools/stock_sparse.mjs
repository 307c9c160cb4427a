// A volume with most chunks absent, in a bucket that answers 403 for what is not there: few renewals, and the
// same picture as where absence is 404.

import assert from "node:assert/strict";
import { DATA, Person, VIEWER, World, parts, same, settled, view, zarr } from "./stock.mjs";

const world = new World();
await world.withChromium(async (browser) => {
  const ada = await Person.at(browser);
  await ada.signIn("Ada");
  world.forget();
  const listed = await look(ada, "listed");
  const absent = world.requests(({ host, status }) => host === "data.example.test" && status === 404);
  assert.ok(absent.length > 10, `${absent.length} absent`);
  assert.deepEqual(world.renewals(), [200]);

  world.forget();
  const started = Date.now();
  const sparse = await look(ada, "sparse");
  assert.ok(same(sparse, listed));
  const refused = world.requests(({ host, status }) => host === "data.example.test" && status === 403);
  assert.ok(refused.length > 10, `${refused.length} refused`);
  // One at the start, and one for each half minute in which something was refused.
  const most = 2 + Math.floor((Date.now() - started) / 30_000);
  assert.ok(world.renewals().length <= most, `${world.renewals().length} renewals, ${refused.length} refusals`);
  console.log(`${refused.length} refusals, ${world.renewals().length} renewals`);
});

async function look(person, name) {
  const page = await person.tab();
  await page.goto(`${VIEWER}/${view([zarr("zarr", `${DATA}/lab-a/${name}`)])}`);
  const isRight = ([panel]) => panel && parts(panel).bare === 0 && parts(panel).data > 0.1 && parts(panel).black > 0.3;
  const shown = await settled(page, "volume with holes", isRight);
  await page.close();
  return shown;
}
