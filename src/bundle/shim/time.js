// Time as the shim needs it: how long ago, and never what o'clock.
//
// The clock on the wall may be wrong by hours, and may be set while the page is open. The steady clock
// of the browser cannot be set, and stands still in some browsers while the machine sleeps. So an age
// is the larger of the two differences: sleep counts, and a clock that is set back makes nothing
// younger. A clock that is set forward looks like sleep, which costs one renewal.

export const systemTime = {
  /** Milliseconds on the wall, alike in all threads. */
  now: () => Date.now(),
  /** Milliseconds that only grow, from a beginning of this thread's own. */
  steady: () => performance.now(),
  /** Calls `work` once, after so many milliseconds; returns what cancels it. */
  after(milliseconds, work) {
    const timer = setTimeout(work, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Returns a function that says how many milliseconds have passed since `startedAt` on the wall. */
export function stopwatch(time, startedAt = time.now()) {
  const steadyStart = time.steady() - Math.max(0, time.now() - startedAt);
  return () => Math.max(time.now() - startedAt, time.steady() - steadyStart);
}

export function pause(time, milliseconds) {
  return new Promise((done) => time.after(milliseconds, done));
}
