import assert from "node:assert/strict";
import { test } from "node:test";
import { DATA, FILE, HOUR, SECOND, SITE, World, problem, settled } from "./world.js";

/** Reads that were refused in all threads at once. */
async function refusedEverywhere(world, threads, each) {
  const reads = threads.flatMap(({ read }) => Array.from({ length: each }, (_, number) => read(FILE + number)));
  await settled();
  await world.pass(3 * SECOND);
  return Promise.all(reads);
}

test("a page and two workers with a hundred refusals ask once", async () => {
  const world = new World();
  const threads = [world.thread({ leads: true }), world.thread(), world.thread()];
  const answers = await refusedEverywhere(world, threads, 100);
  assert.ok(answers.every(({ status }) => status === 200));
  assert.equal(world.posts.length, 1);
  await world.pass(HOUR + SECOND);
  world.posts.length = 0;
  await refusedEverywhere(world, threads, 100);
  assert.equal(world.posts.length, 1);
});

test("however many threads, in whatever order, one asks in each life of the cookies", async () => {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 20; round += 1) {
    const world = new World();
    const threads = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, number) => world.thread({ leads: number % 2 === 0 }));
    for (let life = 1; life <= 3; life += 1) {
      const reads = [];
      for (let step = 0; step < 30; step += 1) {
        const { read } = threads[Math.floor(random() * threads.length)];
        reads.push(read(FILE + step));
        if (random() < 0.3) await settled();
        if (random() < 0.3) await world.pass(random() * 40);
      }
      await world.pass(3 * SECOND);
      assert.ok((await Promise.all(reads)).every(({ status }) => status === 200));
      assert.equal(world.posts.length, life, `round ${round}, ${threads.length} threads`);
      await world.pass(HOUR);
    }
  }
});

test("many threads without anybody signed in ask once together", async () => {
  const world = new World();
  world.service = () => problem(401, "not-signed-in");
  const answers = await refusedEverywhere(world, [world.thread({ leads: true }), world.thread(), world.thread()], 20);
  assert.ok(answers.every(({ status }) => status === 503));
  assert.equal(world.posts.length, 1);
});

test("without locks each thread asks for itself at most; without channels too, and nothing breaks", async () => {
  for (const missing of [{ locks: false }, { channels: false }, { locks: false, channels: false }]) {
    const world = new World();
    const threads = [world.thread({ leads: true, ...missing }), world.thread(missing), world.thread(missing)];
    const answers = await refusedEverywhere(world, threads, 20);
    assert.ok(answers.every(({ status }) => status === 200), JSON.stringify(missing));
    assert.ok(world.posts.length <= 3, `${world.posts.length} without ${JSON.stringify(missing)}`);
  }
});

test("locks that are refused or never given are done without", async () => {
  for (const request of [
    () => Promise.reject(new DOMException("no", "SecurityError")),
    () => {
      throw new DOMException("no", "SecurityError");
    },
    (name, { signal }) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason))),
  ]) {
    const world = new World();
    const scope = world.scope();
    scope.navigator.locks.request = request;
    const { makeThread } = await import("../thread.js");
    const { cookies } = makeThread({ scope, config: { site: "", data: [DATA] }, time: world.time, leads: true });
    cookies.renew();
    await world.pass(20 * SECOND);
    assert.equal(cookies.state, "fresh");
    assert.equal(world.posts.length, 1);
  }
});

test("a new worker learns from the page what there is to know", async () => {
  const world = new World();
  const page = world.thread({ leads: true });
  await page.cookies.renew();
  await world.pass(600 * SECOND);
  const worker = world.thread();
  await settled();
  assert.equal(worker.cookies.state, "fresh");
  assert.equal(worker.cookies.expiresIn, 3000 * SECOND);
  await worker.read(FILE);
  await world.pass(SECOND);
  assert.equal(world.posts.length, 1);
});

test("a page learns that its worker reads data, and finds out until when", async () => {
  const world = new World();
  world.letsIn = world.steady + HOUR;
  const [page, worker] = [world.thread({ leads: true }), world.thread()];
  assert.equal((await worker.read(FILE)).status, 200);
  await world.pass(SECOND);
  assert.equal(page.cookies.state, "fresh");
  assert.equal(worker.cookies.state, "fresh");
  assert.equal(world.posts.length, 1);
});

test("a worker whose page does not answer asks for itself", async () => {
  const world = new World();
  const worker = world.thread();
  await worker.read(FILE);
  await world.pass(SECOND);
  assert.equal(worker.cookies.state, "fresh");
  assert.equal(world.posts.length, 1);
});

test("a clock that is wrong by an hour, either way, changes nothing", async () => {
  for (const wrong of [-HOUR, HOUR, -100_000 * HOUR]) {
    const world = new World();
    world.wall += wrong;
    const { cookies } = world.thread({ leads: true });
    await cookies.renew();
    assert.equal(cookies.expiresIn, HOUR);
    await world.pass(1800 * SECOND);
    assert.equal(cookies.expiresIn, HOUR / 2);
    assert.ok(cookies.isAlive());
  }
});

test("a clock that is set back makes nothing younger", async () => {
  const world = new World();
  const { cookies } = world.thread({ leads: true });
  await cookies.renew();
  world.wall -= 5 * HOUR;
  await world.pass(HOUR);
  assert.equal(cookies.expiresIn, 0);
});

test("a clock that jumps about causes a renewal for each jump at most", async () => {
  const world = new World();
  const { read, cookies } = world.thread({ leads: true });
  await cookies.renew();
  for (let jump = 0; jump < 4; jump += 1) {
    world.wall += (jump % 2 ? -1 : 1) * 10 * HOUR;
    for (let step = 0; step < 50; step += 1) {
      if (cookies.untilDue() === 0) cookies.renew();
      await read(FILE + step);
      await world.pass(100);
    }
  }
  assert.ok(world.posts.length <= 5, `${world.posts.length}`);
});

test("sleep counts, though the steady clock stands still", async () => {
  const world = new World();
  const { cookies } = world.thread({ leads: true });
  await cookies.renew();
  world.sleep(HOUR);
  assert.equal(cookies.expiresIn, 0);
  assert.equal(cookies.untilDue(), 0);
});

test("renewal is due when the service said", async () => {
  const world = new World();
  const { cookies } = world.thread({ leads: true });
  assert.equal(cookies.untilDue(), Infinity, "nothing is known");
  await cookies.renew();
  assert.equal(cookies.untilDue(), 2880 * SECOND);
  await world.pass(2880 * SECOND);
  assert.equal(cookies.untilDue(), 0);
  assert.ok(cookies.isAlive());
});

test("a service in trouble is asked more and more seldom, and as it says", async () => {
  const world = new World();
  world.service = () => new Response("", { status: 503, headers: { "retry-after": "7" } });
  const { cookies } = world.thread({ leads: true });
  await cookies.renew();
  assert.equal(cookies.untilDue(), 7 * SECOND);
  await cookies.renew();
  assert.equal(world.posts.length, 1);
  world.service = () => new Response("", { status: 500 });
  for (let time = 0; time < 300; time += 1) {
    await world.pass(SECOND);
    if (cookies.untilDue() === 0) cookies.renew();
  }
  await settled();
  assert.ok(world.posts.length < 20, `${world.posts.length} in five minutes`);
  assert.equal(cookies.state, "unknown");
  assert.ok(cookies.trouble > 200 * SECOND);
});

test("reads get 503 while the service is in trouble and cookies are gone, and 403 while they live", async () => {
  const world = new World();
  const { read, cookies } = world.thread({ leads: true });
  await cookies.renew();
  world.service = () => new Response("", { status: 429 });
  world.edge = () => new Response("", { status: 403 });
  await world.pass(60 * SECOND);
  assert.equal((await read(FILE)).status, 403);
  await world.pass(HOUR);
  assert.equal((await read(FILE)).status, 503);
});

test("a question without an answer ends after ten seconds", async () => {
  const world = new World();
  world.service = () => new Promise(() => {});
  const { cookies } = world.thread({ leads: true });
  const renewed = cookies.renew();
  await world.pass(9 * SECOND);
  assert.equal(cookies.state, "renewing");
  await world.pass(2 * SECOND);
  await renewed;
  assert.equal(cookies.state, "unknown");
});

test("a session that cannot be checked is no reason to sign in again", async () => {
  const world = new World();
  world.service = () => problem(401, "session-unchecked", { "retry-after": "3" });
  const { cookies } = world.thread({ leads: true });
  await cookies.renew();
  assert.equal(cookies.isSignedOut, false);
  assert.equal(cookies.untilDue(), 3 * SECOND);
});

test("any other 401, and a way to a login page, mean signed out", async () => {
  for (const answer of [problem(401, "refused"), new Response("nonsense", { status: 401 }), { type: "opaqueredirect", json: async () => ({}) }]) {
    const world = new World();
    world.service = () => answer;
    const { cookies } = world.thread({ leads: true });
    await cookies.renew();
    assert.equal(cookies.state, "signed-out");
  }
});

test("answers that make no sense are trouble, and no more", async () => {
  for (const body of ["", "null", "[]", "7", '{"expires_in":"soon"}', '{"expires_in":null}', '{"expires_in":1e400}', '{"handoffs":[null,{},{"url":7}]}']) {
    const world = new World();
    world.service = () => new Response(body, { status: 200 });
    const { cookies } = world.thread({ leads: true });
    await cookies.renew();
    assert.equal(cookies.state, "unknown", body);
    assert.equal(cookies.generation, 0);
  }
});

test("times beyond reason are brought within it", async () => {
  const world = new World();
  const { cookies } = world.thread({ leads: true });
  world.service = () => Response.json({ expires_in: 1e12, refresh_in: -5 });
  await cookies.renew();
  assert.equal(cookies.expiresIn, 24 * HOUR);
  assert.equal(cookies.untilDue(), SECOND);
});

test("messages that make no sense change nothing", async () => {
  const world = new World();
  const { cookies } = world.thread({ leads: true });
  await cookies.renew();
  const { BroadcastChannel } = world.scope();
  const stranger = new BroadcastChannel(`edgemint ${SITE}`);
  for (const message of [null, 7, "x", [], {}, { kind: "outcome" }, { kind: "outcome", state: "fresh" }, { kind: "outcome", state: "fresh", at: "now", expiresIn: 5 },
    { kind: "outcome", state: "fresh", at: world.wall, expiresIn: NaN }, { kind: "outcome", state: "constructor", at: world.wall }, { kind: "known", state: "signed-out", at: world.wall }]) {
    stranger.postMessage(message);
  }
  await settled();
  assert.equal(cookies.state, "fresh");
  assert.equal(cookies.generation, 1);
});

test("what another tab was given counts here, by its age", async () => {
  const world = new World();
  const [one, other] = [world.thread({ leads: true }), world.thread({ leads: true })];
  await one.cookies.renew();
  world.wall += 600 * SECOND; // the message lay about while this tab was frozen
  await settled();
  assert.equal(other.cookies.expiresIn, 3000 * SECOND);
  world.wall -= 5 * HOUR;
  assert.equal(other.cookies.expiresIn, 3000 * SECOND, "also when the clock is set back then");
});

test("somebody else's sign-in ends the waiting in all tabs", async () => {
  const world = new World();
  const { service } = world;
  world.service = () => problem(401, "not-signed-in");
  const old = world.thread({ leads: true });
  assert.equal((await old.read(FILE)).status, 503);
  world.service = service;
  await world.pass(2 * SECOND);
  const fresh = world.thread({ leads: true });
  fresh.cookies.want();
  await world.pass(SECOND);
  assert.equal(old.cookies.state, "fresh");
  assert.equal((await old.read(FILE)).status, 200);
});

test("a refused read in a worker is known to the page", async () => {
  const world = new World();
  world.service = () => problem(401, "not-signed-in");
  const page = world.thread({ leads: true });
  const worker = world.thread();
  let heard = 0;
  page.cookies.onchange = () => (heard += page.cookies.refused ? 1 : 0);
  assert.equal((await worker.read(FILE)).status, 503);
  await settled();
  assert.ok(heard >= 1);
});

test("handoff tokens go to data hosts alone, and the soonest end counts", async () => {
  const world = new World();
  const data = [DATA, "https://data-b.example.org/lab/"];
  const { cookies } = world.thread({ leads: true, config: { site: "", data } });
  world.service = ({ url, init }) => {
    if (url.startsWith(SITE)) {
      const handoffs = ["https://data-b.example.org/session/handoff", "https://evil.example/session/handoff", "https://data-b.example.org.evil.example/"];
      return world.issue(3600, 2880, { handoffs: handoffs.map((url) => ({ url, token: "t0ken" })) });
    }
    assert.equal(url, "https://data-b.example.org/session/handoff");
    assert.deepEqual([init.body, init.credentials, init.headers["content-type"]], ["t0ken", "include", "text/plain"]);
    return Response.json({ expires_in: 1200, refresh_in: 960 });
  };
  await cookies.renew();
  assert.deepEqual(world.posts.map(({ url }) => new URL(url).host), ["viewer.example.org", "data-b.example.org"]);
  assert.equal(cookies.expiresIn, 1200 * SECOND);
  assert.equal(cookies.untilDue(), 960 * SECOND);
});

test("a host that does not take its handoff is asked again soon; one where no rule opens anything is not", async () => {
  for (const [answer, due] of [[() => problem(503, "overloaded"), 30], [() => new Response("", { status: 403 }), 30], [() => problem(403, "no-access"), 2880]]) {
    const world = new World();
    world.service = ({ url }) => url.startsWith(SITE)
      ? world.issue(3600, 2880, { handoffs: [{ url: `${DATA}session/handoff`, token: "t" }] })
      : answer();
    const { cookies } = world.thread({ leads: true });
    await cookies.renew();
    assert.equal(cookies.state, "fresh");
    assert.equal(cookies.untilDue(), due * SECOND);
  }
});

test("the question is a POST to the service alone, and follows nobody elsewhere", async () => {
  for (const [site, url] of [["", `${SITE}/session/cookies`], ["https://service.example.org", "https://service.example.org/session/cookies"]]) {
    const world = new World();
    await world.thread({ leads: true, config: { site, data: [DATA] } }).cookies.renew();
    const [{ url: asked, init }] = world.posts;
    assert.equal(asked, url);
    assert.deepEqual([init.credentials, init.redirect, init.headers.accept], ["include", "manual", "application/json"]);
  }
});

/** A person with more than fits: lab-b has cookies of its own. */
function crowded(world) {
  const open = new Set(["lab-a"]);
  world.service = ({ url }) => {
    const wanted = new URL(url).searchParams.get("for");
    if (wanted) open.add(new URL(wanted).pathname.split("/")[1]);
    return Response.json({ expires_in: 3600, refresh_in: 2880, on_demand: wanted ? [] : [`${DATA}lab-b/*`, 7, null] });
  };
  world.edge = ({ url }) => new Response("", { status: open.has(new URL(url).pathname.split("/")[1]) ? 200 : 403 });
  return open;
}

test("what did not fit is asked for when it is read, once for all threads", async () => {
  const world = new World();
  const open = crowded(world);
  const threads = [world.thread({ leads: true }), world.thread(), world.thread()];
  await threads[0].cookies.renew();
  await world.pass(SECOND);
  const statuses = async () => {
    const reads = threads.flatMap(({ read }) => Array.from({ length: 20 }, (_, number) => read(`${DATA}lab-b/${number}`)));
    await world.pass(SECOND);
    return [...new Set((await Promise.all(reads)).map(({ status }) => status))];
  };
  assert.deepEqual(await statuses(), [200]);
  assert.deepEqual(world.posts.map(({ url }) => new URL(url).search), ["", `?for=${encodeURIComponent(`${DATA}lab-b/0`)}`]);
  await world.pass(50 * 60 * SECOND);
  await threads[0].cookies.renew();
  await world.pass(9 * 60 * SECOND);
  open.delete("lab-b");
  assert.deepEqual(await statuses(), [200], "it is asked for again when it has ended");
  assert.equal(world.posts.length, 4);
});

test("cookies on demand that went away before their time are found out", async () => {
  const world = new World();
  const open = crowded(world);
  const threads = [world.thread({ leads: true }), world.thread()];
  await threads[0].cookies.renew();
  await world.pass(SECOND);
  assert.equal(await statusOf(world, threads[0], `${DATA}lab-b/1`), 200);
  open.delete("lab-b");
  await world.pass(3 * SECOND);
  for (const thread of threads) assert.equal(await statusOf(world, thread, `${DATA}lab-b/2`), 200);
  assert.equal(world.posts.length, 3);
  world.edge = () => new Response("", { status: 403 });
  for (let step = 0; step < 20; step += 1) assert.equal(await statusOf(world, threads[step % 2], `${DATA}lab-b/${step}`), 403);
  assert.equal(world.posts.length, 3, "a sparse volume asks no more for that");
});

test("what is refused on demand too is left alone for a while", async () => {
  const world = new World();
  crowded(world);
  const { read, cookies } = world.thread({ leads: true });
  await cookies.renew();
  await world.pass(SECOND);
  world.service = () => problem(403, "no-access");
  for (let chunk = 0; chunk < 50; chunk += 1) {
    const answer = read(`${DATA}lab-b/${chunk}`);
    await world.pass(100);
    assert.equal((await answer).status, 403);
  }
  assert.equal(cookies.state, "fresh");
  assert.equal(world.posts.length, 2);
});

test("a refusal takes its handoffs along, by which other hosts forget what they gave", async () => {
  const world = new World();
  world.service = ({ url }) => url.startsWith(SITE)
    ? new Response(JSON.stringify({ type: "urn:edgemint:problem:no-access", handoffs: [{ url: `${DATA}session/handoff`, token: "clear" }] }), { status: 403 })
    : Response.json({ resources: [] });
  const { cookies } = world.thread({ leads: true });
  await cookies.renew();
  assert.equal(cookies.state, "no-access");
  assert.deepEqual(world.posts.map(({ init }) => init.body), [undefined, "clear"]);
});

const DATA_B = "https://data-b.example.org/";

/** Two hosts: `DATA` shares its cookies with the service, `DATA_B` has a handoff, which `take` answers. */
function twoHosts(world, { take, channels }) {
  const config = { site: "", data: [DATA, DATA_B] };
  const hosts = { take, open: new Set() };
  world.service = (call) => {
    if (!call.url.startsWith(SITE)) return hosts.take(call);
    hosts.open.add(DATA);
    return Response.json({ expires_in: 3600, refresh_in: 2880, handoffs: [{ url: `${DATA_B}session/handoff`, token: "t" }] });
  };
  world.edge = ({ url }) => new Response("", { status: hosts.open.has(`${new URL(url).origin}/`) && !url.endsWith("absent") ? 200 : 403 });
  hosts.good = () => (hosts.open.add(DATA_B), Response.json({ expires_in: 3600, refresh_in: 2880 }));
  hosts.threads = [world.thread({ leads: true, config, channels }), world.thread({ config, channels })];
  return hosts;
}

/** The status of a read, with as much time as it takes. */
async function statusOf(world, { read }, url) {
  const answer = read(url);
  answer.catch(() => {});
  await world.pass(SECOND);
  return answer.then(({ status }) => status, ({ name }) => name);
}

const FAILURES = {
  "503": () => new Response("", { status: 503 }),
  "429": () => problem(429, "too-many-requests", { "retry-after": "9" }),
  "502": () => new Response("bad gateway", { status: 502 }),
  "401": () => problem(401, "handoff-refused"),
  "a firewall's 403": () => new Response("", { status: 403 }),
  "a broken connection": () => Promise.reject(new TypeError("Failed to fetch")),
  "an empty object": () => Response.json({}),
  "nonsense": () => new Response("<html>", { status: 200 }),
  "nothing at all": () => new Promise(() => {}),
};
for (const [what, take] of Object.entries(FAILURES)) {
  test(`a host that answers its handoff by ${what} has nothing that is believed absent`, async () => {
    const world = new World();
    const hosts = twoHosts(world, { take });
    const [page, worker] = hosts.threads;
    page.cookies.renew();
    await world.pass(11 * SECOND);
    assert.equal(page.cookies.state, "fresh");
    for (let minute = 0; minute < 10; minute += 1) {
      for (const thread of hosts.threads) {
        const missing = thread.read(`${DATA_B}lab-b/chunk`);
        assert.equal(await statusOf(world, thread, `${DATA}lab-a/chunk`), 200, "the others' data go on");
        await world.pass(100 * SECOND); // as long as it is held, and asked about
        assert.equal((await missing).status, 503);
      }
      await world.pass(5 * SECOND);
    }
    assert.ok(world.posts.length < 100, `${world.posts.length} in 35 minutes`);
    hosts.take = hosts.good;
    await world.pass(31 * SECOND);
    assert.deepEqual([await statusOf(world, worker, `${DATA_B}lab-b/chunk`), await statusOf(world, page, `${DATA_B}lab-b/chunk`)], [200, 200]);
    assert.equal(await statusOf(world, worker, `${DATA_B}lab-b/absent`), 403, "absence is absence again");
    assert.equal(page.cookies.trouble, 0);
  });
}

test("a storm of refusals by a host that is missing is not a storm of questions", async () => {
  const world = new World();
  const hosts = twoHosts(world, { take: FAILURES["503"] });
  await hosts.threads[0].cookies.renew();
  for (let step = 0; step < 600; step += 1) {
    hosts.threads[step % 2].read(`${DATA_B}lab-b/${step}`);
    await world.pass(100);
  }
  const asked = world.posts.filter(({ url }) => url.startsWith(SITE)).length;
  assert.ok(asked >= 3 && asked <= 8, `${asked} in a minute`);
});

for (const [what, take] of Object.entries({ ...FAILURES, "an answer of the service itself": null })) {
  test(`what needs cookies of its own, for which a host has ${what}, is asked for again`, async () => {
    const world = new World();
    const hosts = twoHosts(world, { take: () => Response.json({ expires_in: 3600, refresh_in: 2880 }) });
    const service = world.service;
    let isGood = false;
    world.service = async (call) => {
      const demand = new URL(call.url).search !== "";
      if (demand && !take && !isGood) return new Response("", { status: 503 });
      if (demand || !call.url.startsWith(SITE)) return service(call);
      return Response.json({ ...(await (await service(call)).json()), on_demand: [`${DATA_B}lab-b/*`] });
    };
    const [page, worker] = hosts.threads;
    await page.cookies.renew();
    await world.pass(SECOND);
    if (take) hosts.take = take;
    const demands = () => world.posts.filter(({ url }) => new URL(url).search !== "").length;
    for (let chunk = 0; chunk < 20; chunk += 1) {
      const answer = hosts.threads[chunk % 2].read(`${DATA_B}lab-b/${chunk}`);
      await world.pass(chunk === 0 ? 11 * SECOND : SECOND);
      assert.equal((await answer).status, 503);
    }
    assert.equal(demands(), 1, "not for each chunk");
    [isGood, hosts.take] = [true, hosts.good];
    await world.pass(30 * SECOND);
    for (const thread of [worker, page]) assert.equal(await statusOf(world, thread, `${DATA_B}lab-b/chunk`), 200);
    assert.equal(demands(), 2);
  });
}
