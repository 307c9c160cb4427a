//! A viewer bundle in memory: the static files of a web application, looked up by URL path.
//!
//! [`Bundle::load`] reads a folder once, within [`Limits`]; [`respond()`] then answers requests
//! from memory alone. It decides status, headers and body of one static answer, and nothing
//! about identity: who attaches cookies asks [`Outcome::is_html`] first.
//!
//! 1. A path is decoded once and looked up in a map. No request's path ever touches the file system, so
//!    there is nothing for `..` to climb out of.
//! 2. A file's validator is a strong `ETag` over its bytes. There is no `Last-Modified`: the time
//!    of a file is when it was copied, which differs between servers that hold the same bundle and
//!    is a constant in reproducible images. `If-Modified-Since` and dates in `If-Range` therefore
//!    never match. Nothing here changes state, and `If-Match` is ignored.
//! 3. A file is answered in the coding that the request likes best of those at hand, each with a validator of
//!    its own. A bundle is served at once as it is; a [`Compressor`] makes the codings in the background, and
//!    what a build has compressed already is used.
//! 4. A file over a limit stays on disk, and is read from there as it was when it was loaded, or not at all.
//! 5. Names that carry a content hash are `immutable`; all else is revalidated at each use.
//! 6. A navigation to a path that does not exist gets `/index.html` (the application routes it); a
//!    script, chunk or image that does not exist gets 404, never HTML.
//! 7. Pages and scripts are served with the [`shim`] in front, unless [`Injection`] is empty. A rewritten
//!    script is revalidated whatever its name, since its bytes change with the shim. What else runs scripts, as
//!    XML does, carries the policy of pages.
//! 8. A bundle that takes the place of another holds the hashed files of that one for an hour, for pages
//!    that are open.
//!
//! Deployment caveat: everything in the folder is public, except names that begin with a dot.
//! Source maps are served like any other file.

mod caching;
mod compress;
mod conditional;
mod content_type;
mod decode;
mod earlier;
mod encoding;
mod file;
mod inject;
mod load;
mod mount;
mod negotiate;
mod outcome;
mod path;
mod range;
mod respond;
mod s3;
pub mod shim;
mod sidecar;
mod skipped;
mod still;
mod stream;
#[cfg(test)]
mod testing;
mod trace;
mod walk;

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;

pub use self::compress::Compressor;
use self::earlier::Earlier;
pub use self::encoding::{Coding, Encoded};
pub use self::file::{File, FileError};
pub use self::inject::{Injection, ShimTexts, Sources};
pub use self::load::{Limits, LoadError};
pub use self::mount::{Bundles, Mark, Mount, Origin, Place};
pub use self::negotiate::Accepted;
pub use self::outcome::{Found, Outcome};
pub use self::respond::{RequestParts, respond};
pub use self::s3::{Bucket, Listing, Objects, S3Error};
pub use self::skipped::{SkipReason, Skipped};
pub use self::still::{Look, Stillness};
pub use self::stream::{NotSent, Reads};
pub use self::trace::Trace;
use crate::clock::EpochSeconds;

/// The page that a folder's own URL (`/`, `/docs/`) stands for.
const INDEX: &str = "index.html";

/// A viewer bundle in memory. Made by [`Bundle::load`], never changed afterwards.
#[derive(Clone)]
pub struct Bundle {
    files: Vec<File>,
    /// From decoded URL path to a place in `files`; a folder's URL points at its index.
    places: HashMap<String, usize>,
    skipped: Vec<Skipped>,
    total_bytes: u64,
    earlier: Earlier,
}

impl Bundle {
    /// Returns the file at a URL path as it stands in a request: percent-encoded, without query.
    ///
    /// `/` and `/docs/` are the `index.html` of their folder. A path that could not name a file
    /// (RFC 3986, section 3.3: dot segments, empty segments, an encoded slash; and NUL, backslash
    /// or text that is not UTF-8) is absent like any other.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&File> {
        self.get_decoded(&path::decode(path)?)
    }

    /// Returns `/index.html`, which every bundle has that was loaded.
    #[must_use]
    pub fn index(&self) -> Option<&File> {
        self.get_decoded("/")
    }

    /// Returns the files, sorted by path.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Returns the size of all files together, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Returns what the folder holds and the bundle does not, with the reason for each.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Makes a bundle of files as they are, by their decoded URL paths.
    ///
    /// # Errors
    /// [`FileError::Header`]; no file is known to cause it.
    pub fn of(files: impl IntoIterator<Item = (String, Bytes)>) -> Result<Self, FileError> {
        let files = files.into_iter().map(|(path, body)| File::new(path, body));
        Ok(Self::assemble(files.collect::<Result<_, _>>()?, Vec::new()))
    }

    /// Returns this bundle as the one that takes the place of `present`: with the files that pages of
    /// before may still ask for. `limits` hold for it and for what is kept together.
    #[must_use]
    pub fn after(self, present: &Self, now: EpochSeconds, limits: Limits) -> Self {
        let earlier = Earlier::between(present, &self, now, limits);
        Self { earlier, ..self }
    }

    /// Returns this bundle without the files of earlier ones whose hour has passed; `None` if there are
    /// none.
    #[must_use]
    pub fn without_the_expired(&self, now: EpochSeconds) -> Option<Self> {
        let earlier = self.earlier.without_the_expired(now)?;
        Some(Self { earlier, ..self.clone() })
    }

    /// Returns how many files of earlier bundles it holds besides its own.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.earlier.len()
    }

    /// Whether another bundle has the same files with the same bytes, so that either can be served.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let same = |(one, other): (&File, &File)| one.is_same_as(other);
        self.files.len() == other.files.len() && self.files.iter().zip(&other.files).all(same)
    }

    /// Returns how much of it is in memory, in bytes, before compression.
    #[must_use]
    pub fn bytes_in_memory(&self) -> u64 {
        self.files.iter().filter_map(File::body).map(|body| body.len() as u64).sum()
    }

    fn get_decoded(&self, path: &str) -> Option<&File> {
        let own = self.places.get(path).and_then(|&place| self.files.get(place));
        own.or_else(|| self.earlier.get(path))
    }

    fn assemble(mut files: Vec<File>, mut skipped: Vec<Skipped>) -> Self {
        files.sort_by(|a, b| a.path().cmp(b.path()));
        skipped.extend(sidecar::adopt(&files));
        let mut places = HashMap::new();
        let mut total_bytes = 0;
        for (place, file) in files.iter().enumerate() {
            let path = file.path();
            total_bytes += file.length() as u64;
            if let Some(folder) = path.strip_suffix(INDEX).filter(|folder| folder.ends_with('/')) {
                places.insert(folder.to_owned(), place);
            }
            places.insert(path.to_owned(), place);
        }
        Self { files, places, skipped, total_bytes, earlier: Earlier::default() }
    }
}

/// Counts only: a bundle is megabytes.
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("files", &self.files.len())
            .field("total_bytes", &self.total_bytes)
            .field("skipped", &self.skipped.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let paths = ["/index.html", "/docs/index.html", "/assets/a b.js", "/notindex.html"];
        let file = |path: &str| File::new(path.to_owned(), path.to_owned().into()).unwrap();
        Bundle::assemble(paths.map(file).into(), Vec::new())
    }

    #[test]
    fn get_finds_files_by_their_url_path() {
        let cases = [
            ("/", Some("/index.html")),
            ("/index.html", Some("/index.html")),
            ("/index%2ehtml", Some("/index.html")),
            ("/docs/", Some("/docs/index.html")),
            ("/docs", None),
            ("/assets/", None),
            ("/assets/a%20b.js", Some("/assets/a b.js")),
            ("/assets/a%2520b.js", None),
            ("/assets%2fa%20b.js", None),
            ("/Index.html", None),
            ("/not", None),
            ("index.html", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(bundle().get(path).map(File::path), expected, "{path}");
        }
    }

    #[test]
    fn bundle_knows_its_index_and_size() {
        let bundle = bundle();
        assert_eq!(bundle.index().map(File::path), Some("/index.html"));
        assert_eq!(bundle.files().len(), 4);
        assert_eq!(bundle.total_bytes(), 11 + 16 + 14 + 14);
        assert_eq!(format!("{bundle:?}"), "Bundle { files: 4, total_bytes: 55, skipped: 0, .. }");
    }
}
