// What page, workers and other tabs of an origin tell each other, and what only one of them may do.

const LOCK = "edgemint-cookies";
/** The most milliseconds to wait for the others' turn. */
const PATIENCE = 15_000;
/** How long a turn lasts after its news, so that whoever comes next has heard them. */
const SETTLE = 50;

/** Where a browser lacks channels or locks, each thread is alone: more is asked, and nothing breaks. */
export function connect(scope, site, time) {
  const channel = open(scope, `edgemint ${site}`);
  return {
    tell(message) {
      try {
        channel?.postMessage(message);
      } catch {
        // A closed channel: the others find out by themselves.
      }
    },
    listen(hear) {
      channel?.addEventListener("message", ({ data }) => data && hear(data));
    },
    inTurn: (work) => inTurn(scope.navigator?.locks, work, time),
  };
}

function open(scope, name) {
  try {
    return new scope.BroadcastChannel(name);
  } catch {
    return null;
  }
}

/** Does the work while no other thread does, and returns what it returned. */
function inTurn(locks, work, time) {
  if (!locks) return work();
  const patience = new AbortController();
  const cancel = time.after(PATIENCE, () => patience.abort());
  return new Promise((done) => {
    let begun = false;
    const turn = async () => {
      begun = true;
      cancel();
      const outcome = work();
      done(outcome);
      if (await outcome) await new Promise((settled) => time.after(SETTLE, settled));
    };
    const alone = () => begun || (cancel(), done(work()));
    try {
      locks.request(LOCK, { signal: patience.signal }, turn).catch(alone);
    } catch {
      alone();
    }
  });
}
