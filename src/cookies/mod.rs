//! `Set-Cookie` lines: the only place that writes cookie attributes.
//!
//! - [`CookieScope`]: the `Domain` and `Path` at which a set lives.
//! - [`SignedSet`]: three or four CloudFront cookies that belong together.
//! - [`ScriptCookie`]: the same cookies for programs that are no browser.
//! - [`Ledger`]: what this browser was given, since the service cannot see it: CloudFront's cookies
//!   live on another host or path than the one that set them.
//! - [`Handoff`]: a sealed token that carries an identity from the viewer's host to a data host.
//! - [`LoginSession`] and [`Attempt`]: what our own sign-in keeps in a browser, sealed.
//!
//! Source: RFC 6265 and RFC 6265bis for the attributes; the CloudFront Developer Guide for the
//! names. Values are never percent-encoded: that would break the signature.

mod attributes;
mod handoff;
mod header;
mod ledger;
mod login;
mod scope;
mod script;
pub mod sealed;
mod shards;
mod signed;

pub use self::attributes::expire_load_balancer_session;
pub use self::handoff::{Errand, HANDOFF_LIFETIME, Handoff, HandoffError, Mark};
pub use self::header::cookie_pairs;
pub use self::ledger::{
    KeyMark, LEDGER_PREFIX, Ledger, MAX_ENTRIES, MAX_LINES_PER_SET, Renewal, SetDigest,
    ledger_cookie_name,
};
pub use self::login::{ATTEMPT_LIFETIME, Attempt, Held, LoginSession, MAX_ATTEMPTS, Sealing};
pub use self::scope::CookieScope;
pub use self::script::{ScriptCookie, cookie_file, cookie_header, script_cookies};
pub use self::shards::TooLarge;
pub use self::signed::{SignedSet, named_values};
