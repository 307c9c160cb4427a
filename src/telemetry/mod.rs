//! Names of events, fields and metrics: what operators search for, in one place.

mod metrics;

pub use self::metrics::{KeyFacts, LimitedBy, Metrics, Outcome, Route};

/// Target of the record of who got access, and of refusals. Never below `INFO`.
pub const ACCESS: &str = "edgemint::access";

/// Target of everything that the operator should hear.
pub const OPERATION: &str = "edgemint::operation";
