//! Room for connections among the files that a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::telemetry::OPERATION;

/// Files that are open beside people's connections: listeners, key fetches, the admin's connections.
const OTHERS: u64 = 256;

/// Raises the soft limit as far as `connections` need; where the hard limit is lower, says so.
pub(super) fn make_room(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let had = getrlimit(Resource::Nofile);
    // None is no limit.
    let most = had.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit { current: Some(wanted.min(most)), maximum: had.maximum };
    if had.current.is_some_and(|current| current < wanted)
        && (setrlimit(Resource::Nofile, raised).is_err() || most < wanted)
    {
        tracing::warn!(
            target: OPERATION,
            event = "files.few",
            wanted,
            most,
            "fewer files may be open than limits.connections needs: raise the limit (LimitNOFILE, \
             ulimit -Hn) or lower limits.connections"
        );
    }
}
