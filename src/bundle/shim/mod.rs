//! The shim: a script that keeps data open in viewers which know nothing of cookies.
//!
//! It is JavaScript; README.md beside this file says what it does. Here it gets its configuration and
//! becomes text.

use serde_json::json;

/// What pages begin with, minified.
const PAGE: &str = include_str!("shim.min.js");

/// What scripts begin with, minified: the part of it that workers need.
const WORKER: &str = include_str!("worker.min.js");

/// The service worker, minified.
const SERVICE_WORKER: &str = include_str!("service_worker.min.js");

/// What stands in the scripts where their configuration goes.
const PLACE: &str = "EDGEMINT_CONFIG";

/// What the shim has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShimConfig {
    /// What URLs of private data begin with: origin and path.
    pub data: Vec<String>,
    /// Whether pages also start the service worker.
    pub service_worker: bool,
}

impl ShimConfig {
    /// What pages begin with. `site` is the service's own URL where the viewer's pages are not the service's.
    #[must_use]
    pub fn page(&self, site: Option<&str>) -> String {
        PAGE.replacen(PLACE, &self.json(site), 1)
    }

    /// What scripts begin with.
    #[must_use]
    pub fn worker(&self) -> String {
        WORKER.replacen(PLACE, &self.json(None), 1)
    }

    /// The service worker's text.
    #[must_use]
    pub fn service_worker(&self) -> String {
        SERVICE_WORKER.replacen(PLACE, &self.json(None), 1)
    }

    fn json(&self, site: Option<&str>) -> String {
        let mut config = json!({ "site": site.unwrap_or_default(), "data": self.data });
        // A page of another host cannot have a worker of this one.
        if self.service_worker && site.is_none() {
            config["worker"] = json!(WORKER_PATH);
        }
        // Within a page's script, nothing may look like markup; the rest of JSON is JavaScript.
        config.to_string().replace('<', "\\u003c")
    }
}

/// Where the service worker is served.
pub const WORKER_PATH: &str = "/session/worker.js";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_can_stand_in_a_page() {
        let config =
            ShimConfig { data: vec!["https://</script><!--/".to_owned()], service_worker: true };
        for script in [
            config.page(None),
            config.page(Some("https://a")),
            config.worker(),
            config.service_worker(),
        ] {
            let lower = script.to_ascii_lowercase();
            for markup in ["</script", "<script", "<!--"] {
                assert!(!lower.contains(markup), "{markup}");
            }
            assert!(!script.contains(PLACE));
            assert!(script.contains("https://\\u003c/script"));
            assert!(script.trim_end().ends_with(';'), "it stands before other scripts");
        }
    }

    #[test]
    fn each_script_has_one_place_for_its_configuration() {
        for script in [PAGE, WORKER, SERVICE_WORKER] {
            assert_eq!(script.matches(PLACE).count(), 1);
        }
    }
}
