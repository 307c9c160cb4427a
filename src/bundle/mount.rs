//! Bundles and where they are served.

use std::sync::Arc;

use super::Bundle;

/// A bundle at a path of some hosts.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The path that stands for the bundle's root; begins and ends with a slash.
    pub path: String,
    /// The hosts that serve it; every host of the site if none are named.
    pub hosts: Option<Vec<String>>,
    /// The bundle.
    pub bundle: Arc<Bundle>,
}

/// Every bundle of a site, the longest path first.
#[derive(Clone, Debug, Default)]
pub struct Bundles(Vec<Mount>);

/// What a path leads to.
#[derive(Debug)]
pub enum Place<'b, 'p> {
    /// A bundle, and the path within it.
    Within(&'b Bundle, &'p str),
    /// A bundle's own path without its last slash, which relative URLs need.
    Slash(&'b str),
}

impl Bundles {
    /// Returns bundles in the order in which paths are matched.
    #[must_use]
    pub fn new(mut mounts: Vec<Mount>) -> Self {
        // Stable: of two at the same path, the one that is named first.
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.path.len()));
        Self(mounts)
    }

    /// Finds the bundle that a path of a host leads to.
    ///
    /// Paths are compared as they stand in the request: one that is spelled with needless escapes
    /// leads to the bundle at `/`, which does not have it.
    #[must_use]
    pub fn find<'b, 'p>(&'b self, host: &str, path: &'p str) -> Option<Place<'b, 'p>> {
        let here = |mount: &&Mount| {
            mount.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|known| known == host))
        };
        self.0.iter().filter(here).find_map(|mount| {
            let bare = mount.path.strip_suffix('/').unwrap_or(&mount.path);
            match path.strip_prefix(bare) {
                Some("") if !bare.is_empty() => Some(Place::Slash(&mount.path)),
                Some(rest) if rest.starts_with('/') => Some(Place::Within(&mount.bundle, rest)),
                _ => None,
            }
        })
    }

    /// Returns every mount.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::File;
    use super::*;

    fn mount(path: &str, hosts: Option<&[&str]>, name: &str) -> Mount {
        let file = File::new(format!("/{name}"), "".into()).unwrap();
        let hosts = hosts.map(|hosts| hosts.iter().map(ToString::to_string).collect());
        Mount {
            path: path.to_owned(),
            hosts,
            bundle: Arc::new(Bundle::assemble(vec![file], Vec::new())),
        }
    }

    fn found(bundles: &Bundles, host: &str, path: &str) -> String {
        match bundles.find(host, path) {
            Some(Place::Within(bundle, rest)) => format!("{} {rest}", bundle.files()[0].path()),
            Some(Place::Slash(path)) => format!("-> {path}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn a_path_leads_to_the_bundle_with_the_longest_path() {
        let bundles = Bundles::new(vec![
            mount("/", None, "root"),
            mount("/old/", None, "old"),
            mount("/old/er/", None, "older"),
            mount("/beta/", Some(&["beta.example.org"]), "beta"),
        ]);
        for (host, path, expected) in [
            ("a", "/", "/root /"),
            ("a", "/x/y", "/root /x/y"),
            ("a", "/old", "-> /old/"),
            ("a", "/old/", "/old /"),
            ("a", "/older", "/root /older"),
            ("a", "/old/er/a.js", "/older /a.js"),
            ("a", "/old/er", "-> /old/er/"),
            ("a", "/%6fld/a", "/root /%6fld/a"),
            ("a", "//old/", "/root //old/"),
            ("a", "/beta/", "/root /beta/"),
            ("beta.example.org", "/beta/x", "/beta /x"),
        ] {
            assert_eq!(found(&bundles, host, path), expected, "{host} {path}");
        }
    }

    #[test]
    fn without_a_bundle_at_the_root_other_paths_lead_nowhere() {
        let bundles = Bundles::new(vec![mount("/v/", None, "v")]);
        assert_eq!(found(&bundles, "a", "/"), "none");
        assert_eq!(found(&bundles, "a", "/v/x"), "/v /x");
    }
}
