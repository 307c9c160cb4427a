//! Metrics in Prometheus' text format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A kind of request. Paths would let strangers make labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Route {
    /// `/session`.
    Session,
    /// `/session/cookies`.
    Cookies,
    /// `/session/login`.
    Login,
    /// `/session/logout`.
    Logout,
    /// `/session/handoff` and what is under it.
    Handoff,
    /// What is under `/session/verify/`.
    Verify,
    /// `/healthz` and `/readyz`.
    Health,
    /// The shim's own files.
    Shim,
    /// The viewer bundles.
    Bundle,
    /// Anything that was refused before it had a route.
    Other,
}

/// What became of an attempt to give cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Cookies were set.
    Issued,
    /// Nobody was signed in.
    NotSignedIn,
    /// A credential was wrong.
    Refused,
    /// No rule opens anything.
    NoAccess,
    /// No thread was free to sign.
    Overloaded,
    /// A key could not be had, or signing failed.
    Unavailable,
}

/// Whose limit of asks per minute was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum LimitedBy {
    /// A person's.
    Subject,
    /// An address's.
    Address,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    by: LimitedBy,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requests {
    route: Route,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempts {
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reloads {
    ok: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActiveKey {
    key_pair_id: String,
}

/// What is known of the keys when the metrics are asked for.
#[derive(Clone, Debug, Default)]
pub struct KeyFacts {
    /// The key that signs, or would if it were allowed to.
    pub key_pair_id: Option<String>,
    /// When it was made, in seconds of the epoch; 0 where there is none.
    pub created: u64,
    /// How often the ring was changed; 0 where there is none.
    pub revision: u64,
    /// When its source last answered, in seconds of the epoch; 0 if it never did.
    pub heard: u64,
    /// Whether it signs.
    pub signing: bool,
}

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Requests, Counter>,
    attempts: Family<Attempts, Counter>,
    limited: Family<Limited, Counter>,
    reloads: Family<Reloads, Counter>,
    active_key: Family<ActiveKey, Gauge>,
    active_key_created: Gauge<u64, AtomicU64>,
    ring_revision: Gauge<u64, AtomicU64>,
    keys_heard: Gauge<u64, AtomicU64>,
    keys_signing: Gauge,
    /// Attempts to read the keys that failed.
    pub key_errors: Counter,
    /// Bundles that took the place of another, or of none.
    pub bundle_changes: Counter,
    /// Attempts to read a bundle that failed.
    pub bundle_errors: Counter,
    /// Bundles that have not been read once.
    pub bundles_unread: Gauge,
    /// Connections open now.
    pub connections: Gauge,
    /// Connections that met the limit.
    pub connections_refused: Counter,
    /// Policies signed, as opposed to shared.
    pub signatures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Returns all metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("edgemint");
        let metrics = Self {
            requests: Family::default(),
            attempts: Family::default(),
            limited: Family::default(),
            reloads: Family::default(),
            active_key: Family::default(),
            active_key_created: Gauge::default(),
            ring_revision: Gauge::default(),
            keys_heard: Gauge::default(),
            keys_signing: Gauge::default(),
            key_errors: Counter::default(),
            bundle_changes: Counter::default(),
            bundle_errors: Counter::default(),
            bundles_unread: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            signatures: Counter::default(),
            registry: Registry::default(),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the program", version);
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register("cookie_attempts", "Attempts to give cookies", metrics.attempts.clone());
        registry.register("limited", "Asks beyond a minute's worth", metrics.limited.clone());
        registry.register("reloads", "Reloads of the configuration", metrics.reloads.clone());
        metrics.register_keys(&mut registry);
        metrics.register_bundles(&mut registry);
        registry.register("connections", "Connections open", metrics.connections.clone());
        registry.register(
            "connections_refused",
            "Connections closed at the limit",
            metrics.connections_refused.clone(),
        );
        registry.register("signatures", "Policies signed", metrics.signatures.clone());
        Self { registry, ..metrics }
    }

    /// Counts an answer.
    pub fn answered(&self, route: Route, status: u16) {
        self.requests.get_or_create(&Requests { route, status }).inc();
    }

    /// Counts an attempt to give cookies.
    pub fn attempted(&self, outcome: Outcome) {
        self.attempts.get_or_create(&Attempts { outcome }).inc();
    }

    /// Counts an ask that was turned away for being one too many.
    pub fn limited(&self, by: LimitedBy) {
        self.limited.get_or_create(&Limited { by }).inc();
    }

    /// Counts a reload.
    pub fn reloaded(&self, ok: bool) {
        self.reloads.get_or_create(&Reloads { ok }).inc();
    }

    /// Reports the keys.
    pub fn keys(&self, facts: &KeyFacts) {
        self.active_key.clear();
        if let Some(key_pair_id) = facts.key_pair_id.clone() {
            self.active_key.get_or_create(&ActiveKey { key_pair_id }).set(1);
        }
        self.active_key_created.set(facts.created);
        self.ring_revision.set(facts.revision);
        self.keys_heard.set(facts.heard);
        self.keys_signing.set(i64::from(facts.signing));
    }

    fn register_keys(&self, registry: &mut Registry) {
        registry.register("active_key", "The key that signs", self.active_key.clone());
        registry.register(
            "active_key_created_timestamp_seconds",
            "When the key that signs was made",
            self.active_key_created.clone(),
        );
        registry.register(
            "ring_revision",
            "How often the key ring in use was changed",
            self.ring_revision.clone(),
        );
        registry.register(
            "keys_heard_timestamp_seconds",
            "When the source of keys last answered",
            self.keys_heard.clone(),
        );
        registry.register(
            "keys_signing",
            "1 if cookies can be signed, 0 without a key or cut off",
            self.keys_signing.clone(),
        );
        registry.register(
            "key_source_errors",
            "Failed attempts to read the keys",
            self.key_errors.clone(),
        );
    }

    fn register_bundles(&self, registry: &mut Registry) {
        let (changes, errors) = (self.bundle_changes.clone(), self.bundle_errors.clone());
        registry.register("bundle_changes", "Viewer bundles swapped", changes);
        registry.register("bundle_errors", "Failed attempts to read a bundle", errors);
        let unread = self.bundles_unread.clone();
        registry.register("bundles_unread", "Bundles that were not read yet", unread);
    }

    /// Returns all metrics as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_holds_what_was_counted() {
        let metrics = Metrics::new();
        metrics.answered(Route::Cookies, 200);
        metrics.attempted(Outcome::Issued);
        for id in ["K1", "K2"] {
            let key_pair_id = Some(id.to_owned());
            metrics.keys(&KeyFacts { key_pair_id, revision: 7, ..KeyFacts::default() });
        }
        let text = metrics.to_text();
        assert!(
            text.contains("edgemint_requests_total{route=\"Cookies\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(text.contains("edgemint_active_key{key_pair_id=\"K2\"} 1"), "{text}");
        assert!(!text.contains("K1"), "{text}");
        assert!(text.contains("edgemint_ring_revision 7\n"), "{text}");
        metrics.keys(&KeyFacts::default());
        assert!(!metrics.to_text().contains("K2"), "{text}");
    }
}
