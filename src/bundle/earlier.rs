//! Files of earlier bundles, for pages that were open when a new bundle took their place.
//!
//! A page that was loaded before goes on to ask for the scripts that it names. Where their names hold
//! a hash of their content, as those of most builds do, they are kept for an hour, unless the new
//! bundle has a file of that name itself. Pages, and names that stay the same from build to build, are
//! of the newest bundle alone.
//!
//! What is kept counts towards [`Limits::total_bytes`] together with the bundle itself, and there are
//! at most eight earlier bundles; the oldest go first.

use std::collections::HashMap;

use super::{Bundle, File, Limits, caching};
use crate::clock::EpochSeconds;

/// Seconds that a file is kept.
const KEPT_FOR: u64 = 3600;

/// The most earlier bundles that files are kept of.
const GENERATIONS: usize = 8;

/// Files of earlier bundles, by path.
#[derive(Clone, Default)]
pub(super) struct Earlier(HashMap<String, Kept>);

#[derive(Clone)]
struct Kept {
    file: File,
    until: EpochSeconds,
}

impl Earlier {
    /// What is kept when `next` takes the place of `present`.
    pub(super) fn between(
        present: &Bundle,
        next: &Bundle,
        now: EpochSeconds,
        limits: Limits,
    ) -> Self {
        let until = now.plus(KEPT_FOR);
        let just_replaced = present.files().iter().map(|file| Kept { file: file.clone(), until });
        let longer_ago = present.earlier.0.values().cloned();
        let mut kept: Vec<Kept> = just_replaced
            .filter(|kept| is_worth_keeping(&kept.file))
            .chain(longer_ago.filter(|kept| kept.until > now))
            .filter(|kept| !next.places.contains_key(kept.file.path()))
            .collect();
        // The newest first; of equal age in an order that does not depend on chance.
        kept.sort_by(|a, b| (b.until, a.file.path()).cmp(&(a.until, b.file.path())));
        let mut generations: Vec<EpochSeconds> = kept.iter().map(|kept| kept.until).collect();
        generations.dedup();
        let oldest = generations.get(GENERATIONS - 1).copied().unwrap_or_default();
        let mut bytes_left = limits.total_bytes.saturating_sub(next.bytes_in_memory());
        let fits = |kept: &Kept| {
            let left = bytes_left.checked_sub(size(&kept.file));
            bytes_left = left.unwrap_or(0);
            left.is_some() && kept.until >= oldest
        };
        let kept = kept.into_iter().take_while(fits);
        Self(kept.map(|kept| (kept.file.path().to_owned(), kept)).collect())
    }

    /// What is left of it at a moment; `None` if that is all of it.
    pub(super) fn without_the_expired(&self, now: EpochSeconds) -> Option<Self> {
        let left: HashMap<String, Kept> = self
            .0
            .iter()
            .filter(|(_, kept)| kept.until > now)
            .map(|(path, kept)| (path.clone(), kept.clone()))
            .collect();
        (left.len() < self.0.len()).then_some(Self(left))
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path).map(|kept| &kept.file)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Kinds of files that a page asks for by itself. Of anything else a name may look hashed and be a person's,
/// and what that person takes away is to be gone.
const PARTS: [&str; 6] =
    ["text/javascript", "text/css", "application/wasm", "application/json", "font/", "image/"];

/// Whether a page may still ask for it by a name that no other content will have. What stays on disk goes
/// when its file goes.
fn is_worth_keeping(file: &File) -> bool {
    let media_type = file.content_type().to_str().unwrap_or_default();
    let is_part = PARTS.iter().any(|part| media_type.starts_with(part));
    file.body().is_some() && is_part && caching::may_have_content_hash(file.path())
}

fn size(file: &File) -> u64 {
    file.length() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1_800_000_000);

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        let file = |(path, body): &(&str, &str)| {
            File::new((*path).to_owned(), (*body).to_owned().into()).unwrap()
        };
        Bundle::assemble(files.iter().map(file).collect(), Vec::new())
    }

    /// A build: a page, a script of a fixed name, and one with a hash.
    fn build(version: usize) -> Bundle {
        let hashed = format!("/main.{version:08x}.js");
        let hashed_page = format!("/help.{version:08x}.html");
        bundle(&[
            ("/index.html", &hashed),
            ("/main.js", &hashed),
            (&hashed, &hashed),
            (&hashed_page, &hashed),
        ])
    }

    fn body<'b>(bundle: &'b Bundle, path: &str) -> Option<&'b [u8]> {
        bundle.get(path).and_then(File::body).map(|body| &body[..])
    }

    #[test]
    fn hashed_files_stay_for_an_hour_and_nothing_else_does() {
        let limits = Limits::default();
        let second = build(2).after(&build(1), NOW, limits);
        assert_eq!(body(&second, "/main.00000001.js"), Some(&b"/main.00000001.js"[..]));
        assert_eq!(body(&second, "/main.js"), Some(&b"/main.00000002.js"[..]));
        assert_eq!(body(&second, "/"), Some(&b"/main.00000002.js"[..]));
        assert_eq!(body(&second, "/help.00000001.html"), None, "pages are of the newest alone");
        assert_eq!((second.kept(), second.files().len()), (1, 4));

        assert!(second.without_the_expired(NOW.plus(3599)).is_none());
        let later = second.without_the_expired(NOW.plus(3600)).unwrap();
        assert_eq!(body(&later, "/main.00000001.js"), None);
        assert!(body(&later, "/main.00000002.js").is_some());
        assert!(later.without_the_expired(NOW.plus(7200)).is_none());
    }

    #[test]
    fn a_file_of_the_new_bundle_comes_first() {
        let old = bundle(&[("/index.html", "1"), ("/main.3f2a1b4c.js", "old")]);
        let new = bundle(&[("/index.html", "2"), ("/main.3f2a1b4c.js", "new")]);
        let new = new.after(&old, NOW, Limits::default());
        assert_eq!((body(&new, "/main.3f2a1b4c.js"), new.kept()), (Some(&b"new"[..]), 0));
    }

    #[test]
    fn a_build_that_is_rolled_back_to_has_its_files_and_those_of_the_one_in_between() {
        let limits = Limits::default();
        let second = build(2).after(&build(1), NOW, limits);
        let again = build(1).after(&second, NOW.plus(60), limits);
        assert!(body(&again, "/main.00000002.js").is_some());
        assert_eq!(again.kept(), 1, "what is its own is not kept besides");
    }

    #[test]
    fn of_many_builds_the_last_eight_are_kept() {
        let mut now = NOW;
        let mut bundle = build(0);
        for version in 1..=20 {
            now = now.plus(10);
            bundle = build(version).after(&bundle, now, Limits::default());
        }
        let kept: Vec<usize> = (0..20)
            .filter(|version| body(&bundle, &format!("/main.{version:08x}.js")).is_some())
            .collect();
        assert_eq!(kept, (12..20).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_kept_fits_into_the_limit_together_with_the_bundle() {
        // Four files of 17 bytes.
        let total = build(3).total_bytes();
        let second = build(2).after(&build(1), NOW, Limits::default());
        for (spare, kept) in [(0, 0), (16, 0), (17, 1), (33, 1), (34, 2)] {
            let limits = Limits { total_bytes: total + spare, ..Limits::default() };
            let third = build(3).after(&second, NOW.plus(1), limits);
            assert_eq!(third.kept(), kept, "{spare} bytes to spare");
            assert_eq!(body(&third, "/main.00000002.js").is_some(), kept > 0, "the newest first");
        }
    }
}
