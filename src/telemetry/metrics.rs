//! Metrics in Prometheus' text format.

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
    /// What is under `/session/verify/`.
    Verify,
    /// `/healthz` and `/readyz`.
    Health,
    /// The viewer bundle.
    Bundle,
    /// Anything that was refused before it had a route.
    Other,
}

/// What became of an attempt to give cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Cookies were set.
    Issued,
    /// A credential was wrong.
    Refused,
    /// No rule opens anything.
    NoAccess,
    /// No thread was free to sign.
    Overloaded,
    /// A key could not be had, or signing failed.
    Unavailable,
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

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Requests, Counter>,
    attempts: Family<Attempts, Counter>,
    reloads: Family<Reloads, Counter>,
    active_key: Family<ActiveKey, Gauge>,
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
            reloads: Family::default(),
            active_key: Family::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            signatures: Counter::default(),
            registry: Registry::default(),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the program", version);
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register("cookie_attempts", "Attempts to give cookies", metrics.attempts.clone());
        registry.register("reloads", "Reloads of the configuration", metrics.reloads.clone());
        registry.register("active_key", "The key that signs", metrics.active_key.clone());
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

    /// Counts a reload.
    pub fn reloaded(&self, ok: bool) {
        self.reloads.get_or_create(&Reloads { ok }).inc();
    }

    /// Reports the key that signs.
    pub fn signing_with(&self, key_pair_id: &str) {
        self.active_key.clear();
        self.active_key.get_or_create(&ActiveKey { key_pair_id: key_pair_id.to_owned() }).set(1);
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
        metrics.signing_with("K1");
        metrics.signing_with("K2");
        let text = metrics.to_text();
        assert!(
            text.contains("edgemint_requests_total{route=\"Cookies\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(text.contains("edgemint_active_key{key_pair_id=\"K2\"} 1"), "{text}");
        assert!(!text.contains("K1"), "{text}");
    }
}
