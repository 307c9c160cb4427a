//! Bundles, where they are served, and what they were read from.

use std::sync::Arc;

use super::{Bundle, Injection, Limits, Listing, LoadError, Trace};
use crate::clock::EpochSeconds;
use crate::config::BundleSource;

/// A bundle at a path of some hosts.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The path that stands for the bundle's root; begins and ends with a slash.
    pub path: String,
    /// The hosts that serve it; every host of the site if none are named.
    pub hosts: Option<Vec<String>>,
    /// What the bundle is to be read from.
    pub origin: Arc<Origin>,
    /// The bundle; none as long as its bucket has not been read once.
    pub bundle: Option<Arc<Bundle>>,
    /// What the origin looked like when the bundle was read from it; none while the bundle is still the
    /// one of another origin, or of nothing.
    pub mark: Option<Mark>,
}

/// What a bundle is read from, within which limits, and what is added to its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where the files are.
    pub source: BundleSource,
    /// How much it may hold.
    pub limits: Limits,
    /// What is added.
    pub injection: Arc<Injection>,
}

/// What a source looked like at one moment. Equal marks mean equal files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A folder.
    Folder(Trace),
    /// Objects of a bucket.
    Objects(Arc<Listing>),
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
    /// A bundle that has not been read yet.
    Unread,
}

impl Mount {
    /// Reads a folder and returns it as a mount; a bucket is left to whoever follows it. Blocks on the
    /// file system.
    ///
    /// # Errors
    /// [`LoadError`] for a folder that is no bundle.
    pub fn open(
        path: String,
        hosts: Option<Vec<String>>,
        origin: Arc<Origin>,
    ) -> Result<Self, LoadError> {
        let unread = Self { path, hosts, origin, bundle: None, mark: None };
        let BundleSource::Folder(root) = &unread.origin.source else { return Ok(unread) };
        let Origin { limits, injection, .. } = &*unread.origin;
        // From before the reading: what changes meanwhile shows as a change.
        let mark = Mark::Folder(Trace::of(root, *limits));
        let bundle = Bundle::load(root, *limits, injection)?;
        Ok(Self { bundle: Some(Arc::new(bundle)), mark: Some(mark), ..unread })
    }

    fn is_at(&self, path: &str, hosts: Option<&[String]>) -> bool {
        self.path == path && self.hosts.as_deref() == hosts
    }

    /// This mount, as what a new configuration says, in the place of the one that is there. What was read
    /// is never lost: where the origin is the same it stays, and where the new one has not been read it
    /// is served until it has.
    fn after(self, present: Option<&Self>, now: EpochSeconds) -> Self {
        match (present, &self.bundle) {
            (Some(present), _) if present.origin == self.origin && present.bundle.is_some() => {
                present.clone()
            }
            (Some(present), Some(_)) => self.keeping_files_of(present, now),
            (Some(present), None) => Self { bundle: present.bundle.clone(), ..self },
            (None, _) => self,
        }
    }

    /// What was read anew in the place of this one. A bundle whose files are all the same stays.
    fn renewed(&self, next: &Self, now: EpochSeconds) -> Self {
        match (&self.bundle, &next.bundle) {
            (Some(held), Some(read)) if self.mark.is_some() && read.is_same_as(held) => {
                Self { mark: next.mark.clone(), ..self.clone() }
            }
            _ => next.clone().keeping_files_of(self, now),
        }
    }

    fn keeping_files_of(self, before: &Self, now: EpochSeconds) -> Self {
        let (Some(own), Some(before)) = (&self.bundle, &before.bundle) else { return self };
        let bundle = Bundle::clone(own).after(before, now, self.origin.limits);
        Self { bundle: Some(Arc::new(bundle)), ..self }
    }
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
                Some(rest) if rest.starts_with('/') => Some(match &mount.bundle {
                    Some(bundle) => Place::Within(bundle, rest),
                    None => Place::Unread,
                }),
                _ => None,
            }
        })
    }

    /// Returns the mount at a path of hosts.
    #[must_use]
    pub fn at(&self, path: &str, hosts: Option<&[String]>) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.is_at(path, hosts))
    }

    /// Returns these bundles, of a new configuration, with what was read for the present ones.
    #[must_use]
    pub fn after(&self, present: &Self, now: EpochSeconds) -> Self {
        let after = |mount: &Mount| {
            let before = present.at(&mount.path, mount.hosts.as_deref());
            mount.clone().after(before, now)
        };
        Self(self.0.iter().map(after).collect())
    }

    /// Returns these bundles with one of them read anew; as they are where there is no such mount any
    /// more, or one with another origin.
    #[must_use]
    pub fn replace(&self, mount: &Mount, now: EpochSeconds) -> Self {
        let is_meant = |one: &Mount| {
            one.is_at(&mount.path, mount.hosts.as_deref()) && one.origin == mount.origin
        };
        let replace =
            |one: &Mount| if is_meant(one) { one.renewed(mount, now) } else { one.clone() };
        Self(self.0.iter().map(replace).collect())
    }

    /// Returns these bundles without files of earlier ones whose hour has passed; `None` if there are
    /// none.
    #[must_use]
    pub fn without_the_expired(&self, now: EpochSeconds) -> Option<Self> {
        let expire = |mount: &Mount| mount.bundle.as_ref()?.without_the_expired(now).map(Arc::new);
        let expired: Vec<_> = self.0.iter().map(expire).collect();
        expired.iter().any(Option::is_some).then(|| {
            let left = self.0.iter().zip(expired).map(|(mount, bundle)| {
                let bundle = bundle.or_else(|| mount.bundle.clone());
                Mount { bundle, ..mount.clone() }
            });
            Self(left.collect())
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
        let bundle = Some(Arc::new(Bundle::assemble(vec![file], Vec::new())));
        Mount { path: path.to_owned(), hosts, origin: origin("one"), bundle, mark: None }
    }

    fn origin(bucket: &str) -> Arc<Origin> {
        let source = BundleSource::S3 { bucket: bucket.to_owned(), prefix: String::new() };
        let (limits, injection) = (Limits::default(), Arc::default());
        Arc::new(Origin { source, limits, injection })
    }

    fn found(bundles: &Bundles, host: &str, path: &str) -> String {
        match bundles.find(host, path) {
            Some(Place::Within(bundle, rest)) => format!("{} {rest}", bundle.files()[0].path()),
            Some(Place::Slash(path)) => format!("-> {path}"),
            Some(Place::Unread) => "unread".to_owned(),
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
    fn a_bundle_that_was_not_read_yet_hides_the_one_at_the_root() {
        let unread = Mount { bundle: None, ..mount("/v/", None, "v") };
        let bundles = Bundles::new(vec![mount("/", None, "root"), unread]);
        assert_eq!(found(&bundles, "a", "/v/x.js"), "unread");
        assert_eq!(found(&bundles, "a", "/x.js"), "/root /x.js");
    }

    #[test]
    fn a_new_configuration_loses_nothing_that_was_read() {
        let (now, present) = (EpochSeconds(1), Bundles::new(vec![mount("/", None, "read")]));
        let unread = |origin| Mount { bundle: None, origin, ..mount("/", None, "") };
        for origin in [origin("one"), origin("another")] {
            let next = Bundles::new(vec![unread(origin)]).after(&present, now);
            assert_eq!(found(&next, "a", "/x"), "/read /x");
        }
        // At another path, or for other hosts, it is another bundle.
        let elsewhere = Mount { path: "/v/".to_owned(), ..unread(origin("one")) };
        let next = Bundles::new(vec![elsewhere]).after(&present, now);
        assert_eq!(found(&next, "a", "/v/x"), "unread");
        let other = Mount { hosts: Some(vec!["a".to_owned()]), ..unread(origin("one")) };
        assert_eq!(found(&Bundles::new(vec![other]).after(&present, now), "a", "/x"), "unread");
    }

    #[test]
    fn what_was_read_for_an_origin_of_before_is_not_taken() {
        let present =
            Bundles::new(vec![Mount { origin: origin("two"), ..mount("/", None, "two") }]);
        assert_eq!(
            found(&present.replace(&mount("/", None, "one"), EpochSeconds(1)), "a", "/x"),
            "/two /x"
        );
        let own = Mount { origin: origin("two"), ..mount("/", None, "newer") };
        assert_eq!(found(&present.replace(&own, EpochSeconds(1)), "a", "/x"), "/newer /x");
    }

    #[test]
    fn without_a_bundle_at_the_root_other_paths_lead_nowhere() {
        let bundles = Bundles::new(vec![mount("/v/", None, "v")]);
        assert_eq!(found(&bundles, "a", "/"), "none");
        assert_eq!(found(&bundles, "a", "/v/x"), "/v /x");
    }
}
