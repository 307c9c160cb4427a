//! `[viewer]`: viewer bundles, where they are served, and what is added to them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::hosts::{self, Hosts};
use super::raw;
use super::site::Site;
use super::source::Problems;
use crate::access::PathPrefix;
use crate::policy::BaseUrl;

/// More bundles than a site has viewers, or hosts in one list of the policy.
const MAX_BUNDLES: usize = 32;
const MAX_SOURCES: usize = 32;

/// The viewers of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The bundles, in the file's order.
    pub bundles: Vec<ViewerBundle>,
    /// What keeps data open in stock viewers.
    pub shim: Shim,
    /// Which content security policy pages carry; none if `csp = false`.
    pub csp: Option<CspSources>,
    /// Which bundle opens the datasets on the session page, by its path. See [`Viewer::opens_at`].
    pub open_with: PathPrefix,
}

impl Viewer {
    /// Where the bundle that opens datasets is, for somebody who asks at `here`, one of the site's URLs: there,
    /// or where it is served first.
    #[must_use]
    pub fn opens_at(&self, here: &BaseUrl, site: &Site) -> Option<String> {
        let serves = |url: &&BaseUrl| {
            let mut bundles = self.bundles.iter().filter(|bundle| bundle.path == self.open_with);
            bundles.any(|bundle| bundle.hosts.contain(url.host()))
        };
        let url = std::iter::once(here).chain(site.urls()).find(serves)?;
        Some(format!("{url}{}", self.open_with))
    }
}

/// One viewer bundle and where it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerBundle {
    /// The key in the file, by which problems speak of it.
    pub key: String,
    /// Where its files are.
    pub source: BundleSource,
    /// The path that stands for its root.
    pub path: PathPrefix,
    /// Under which of the site's names it is served.
    pub hosts: Hosts,
}

/// Where the files of a bundle are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleSource {
    /// The folder that holds `index.html`.
    Folder(PathBuf),
    /// Objects of a bucket.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What keys begin with: empty, or ends in a slash.
        prefix: String,
    },
}

impl fmt::Display for BundleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(root) => write!(f, "{}", root.display()),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// What renews cookies beneath a viewer that knows nothing of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shim {
    /// A script that stands first in pages and scripts.
    #[default]
    Inline,
    /// The same, and a service worker, for requests that the script cannot reach.
    ServiceWorker,
    /// Nothing: files are served byte for byte.
    Off,
}

/// What the content security policy of pages names besides the site itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CspSources {
    /// Other origins that scripts may come from.
    pub script_src: Vec<BaseUrl>,
    /// Other origins whose pages may show the viewer in a frame.
    pub frame_ancestors: Vec<BaseUrl>,
}

pub(super) fn check(
    raw: Option<raw::Viewer>,
    folder: &Path,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<Viewer> {
    let raw = raw?;
    let shim = check_shim(raw.shim.as_deref(), problems);
    let sources = CspSources {
        script_src: origins("viewer.script_src", raw.script_src, problems),
        frame_ancestors: origins("viewer.frame_ancestors", raw.frame_ancestors, problems),
    };
    let bundles = check_bundles(raw.root, raw.bundle.unwrap_or_default(), folder, site, problems)?;
    let open_with = check_open_with(raw.open_with, &bundles, problems)?;
    let csp = raw.csp.unwrap_or(true).then_some(sources);
    Some(Viewer { bundles, shim: shim?, csp, open_with })
}

fn check_shim(word: Option<&str>, problems: &mut Problems) -> Option<Shim> {
    match word {
        None | Some("inline") => Some(Shim::Inline),
        Some("service-worker") => Some(Shim::ServiceWorker),
        Some("off") => Some(Shim::Off),
        Some(other) => {
            let message =
                format!("{other:?} is none of \"inline\", \"service-worker\" and \"off\"");
            problems.add("viewer.shim", message);
            None
        }
    }
}

fn origins(key: &str, texts: Option<Vec<String>>, problems: &mut Problems) -> Vec<BaseUrl> {
    let texts = texts.unwrap_or_default();
    if texts.len() > MAX_SOURCES {
        problems.add(key, format!("{} origins; at most {MAX_SOURCES}", texts.len()));
        return Vec::new();
    }
    let parse =
        |(at, text): (usize, &String)| problems.take(&format!("{key}[{at}]"), BaseUrl::parse(text));
    texts.iter().enumerate().filter_map(parse).collect()
}

/// `viewer.root` is short for one bundle at `/`.
fn check_bundles(
    root: Option<String>,
    raw: Vec<raw::ViewerBundle>,
    folder: &Path,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<Vec<ViewerBundle>> {
    let count = raw.len() + usize::from(root.is_some());
    if count == 0 || count > MAX_BUNDLES {
        let example =
            format!("name 1 to {MAX_BUNDLES} bundles, such as root = \"/srv/neuroglancer\"");
        problems.add("viewer.root", example);
        return None;
    }
    let short = root.map(|root| raw::ViewerBundle { root: Some(root), ..Default::default() });
    let keyed = short
        .into_iter()
        .map(|raw| ("viewer".to_owned(), raw))
        .chain(raw.into_iter().enumerate().map(|(at, raw)| (format!("viewer.bundle[{at}]"), raw)));
    let mut bundles: Vec<ViewerBundle> = Vec::new();
    for (key, raw) in keyed {
        let Some(bundle) = check_bundle(&key, raw, folder, site, problems) else { continue };
        let twice =
            |other: &&ViewerBundle| other.path == bundle.path && other.hosts.meet(&bundle.hosts);
        if let Some(other) = bundles.iter().find(twice) {
            let message = format!("{} is already served at {}", other.key, bundle.path);
            problems.add(format!("{key}.path"), message);
        }
        bundles.push(bundle);
    }
    (bundles.len() == count).then_some(bundles)
}

fn check_bundle(
    key: &str,
    raw: raw::ViewerBundle,
    folder: &Path,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<ViewerBundle> {
    let root_key = format!("{key}.root");
    let root = problems.require(&root_key, raw.root, "root = \"/srv/neuroglancer\"");
    let source = root.and_then(|root| problems.take(&root_key, check_source(&root, folder)));
    let path_key = format!("{key}.path");
    let path = PathPrefix::parse(raw.path.as_deref().unwrap_or("/"));
    let path = problems.take(&path_key, path)?;
    if path.as_str().starts_with("/session/") {
        problems.add(&path_key, "/session/ is the service's own");
        return None;
    }
    let hosts = hosts::check(&format!("{key}.hosts"), raw.hosts.as_ref(), site, problems)?;
    Some(ViewerBundle { key: root_key, source: source?, path, hosts })
}

/// A folder, or `s3://bucket/prefix`.
fn check_source(root: &str, folder: &Path) -> Result<BundleSource, String> {
    let Some(rest) = root.strip_prefix("s3://") else {
        return match root.split_once("://") {
            Some((scheme, _)) => {
                Err(format!("{scheme}:// is not read; name a folder, or s3://bucket/prefix"))
            }
            None => Ok(BundleSource::Folder(folder.join(root))),
        };
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_bucket_character =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_bucket_character) {
        return Err(format!("{bucket:?} is no bucket's name; write s3://bucket/prefix"));
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix.starts_with('/') || prefix.contains("//") || prefix.chars().any(char::is_control) {
        return Err("a prefix has no empty segment; write s3://bucket/prefix".to_owned());
    }
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok(BundleSource::S3 { bucket: bucket.to_owned(), prefix })
}

/// The first bundle, unless another is named.
fn check_open_with(
    path: Option<String>,
    bundles: &[ViewerBundle],
    problems: &mut Problems,
) -> Option<PathPrefix> {
    let Some(path) = path else { return bundles.first().map(|bundle| bundle.path.clone()) };
    let path = problems.take("viewer.open_with", PathPrefix::parse(&path))?;
    if bundles.iter().any(|bundle| bundle.path == path) {
        return Some(path);
    }
    let message = format!("no bundle is served at {path}; name the path of one");
    problems.add("viewer.open_with", message);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_folder_beside_the_file_or_objects_of_a_bucket() {
        let source = |root| check_source(root, Path::new("/etc/edgemint"));
        let s3 = |bucket: &str, prefix: &str| BundleSource::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(source("viewer"), Ok(BundleSource::Folder("/etc/edgemint/viewer".into())));
        assert_eq!(source("/srv/v"), Ok(BundleSource::Folder("/srv/v".into())));
        assert_eq!(source("s3://my-bucket"), Ok(s3("my-bucket", "")));
        assert_eq!(source("s3://my-bucket/"), Ok(s3("my-bucket", "")));
        assert_eq!(source("s3://my.bucket/a/b/"), Ok(s3("my.bucket", "a/b/")));
        for wrong in ["s3://", "s3:///a", "s3://B/a", "s3://ab//c", "s3://abc//d", "https://a.b/"] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }
}
