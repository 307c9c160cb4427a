// `window.edgemint`: for viewers and pages that want to know. README.md documents it.

export function makeHook({ cookies, signIn }) {
  return new (class Edgemint extends EventTarget {
    /** "unknown", "fresh", "renewing", "signed-out" or "no-access". */
    get state() {
      return cookies.state;
    }

    /** Seconds until the cookies end, or null where that is not known. */
    get expiresIn() {
      return cookies.expiresIn === null ? null : Math.floor(cookies.expiresIn / 1000);
    }

    /** Seconds until they are renewed without being asked for, or null where nothing is to be. */
    get renewsIn() {
      const due = cookies.untilDue();
      return Number.isFinite(due) ? Math.ceil(due / 1000) : null;
    }

    /** The resources that are open to this person, or null where that is not known. */
    get resources() {
      return cookies.resources && [...cookies.resources];
    }

    /** Asks for new cookies, at most once a second; resolves to the state after that. */
    async renew() {
      await cookies.renew();
      return cookies.state;
    }

    /** Goes to sign-in, and comes back to this view. */
    signIn() {
      signIn();
    }
  })();
}
