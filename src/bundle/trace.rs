//! What differs whenever anything in a bundle's folder does. Looked at often, so nothing is read.

use std::fs::{self, DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Limits;

/// The most entries of all folders that are looked at, for each file that a bundle may hold: beyond, the
/// folder is no bundle, and reading it says so.
const ENTRIES_PER_FILE: usize = 4;

/// Names, sizes, places and times of everything in a folder, as one number. Equal traces of one folder
/// mean that nothing in it was replaced, rewritten, added or removed between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(u64);

impl Trace {
    /// Looks at a folder. Blocks on the file system.
    ///
    /// What cannot be looked at counts as it is: a folder that is absent has a trace, too. Names that
    /// begin with a dot are passed over; links are looked at where they end.
    #[must_use]
    pub fn of(root: &Path, limits: Limits) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut left = limits.files.saturating_mul(ENTRIES_PER_FILE);
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            hash_metadata(fs::metadata(&folder), &mut hasher);
            for entry in entries(&folder) {
                if left == 0 {
                    return Self(hasher.finish());
                }
                left -= 1;
                folders.extend(look_at(&entry, &mut hasher));
            }
        }
        Self(hasher.finish())
    }
}

/// The visible entries of a folder; none where it cannot be read, which its own metadata tell.
fn entries(folder: &Path) -> Vec<DirEntry> {
    let mut entries: Vec<DirEntry> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(Result::ok).collect())
        .unwrap_or_default();
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    // The system's order is arbitrary.
    entries.sort_by_key(DirEntry::file_name);
    entries
}

/// Takes an entry into the hash, and returns it if it is a folder that is to be visited.
fn look_at(entry: &DirEntry, hasher: &mut DefaultHasher) -> Option<PathBuf> {
    entry.file_name().hash(hasher);
    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
        return Some(entry.path());
    }
    hash_metadata(fs::metadata(entry.path()), hasher);
    None
}

/// The time of change (`ctime`) tells what `cp -p` and `touch` hide.
fn hash_metadata(metadata: std::io::Result<Metadata>, hasher: &mut DefaultHasher) {
    let facts = metadata.ok().map(|it| {
        let changed = (it.ctime(), it.ctime_nsec());
        (it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec(), changed)
    });
    facts.hash(hasher);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::super::testing::folder;
    use super::*;

    fn trace(root: &Path) -> Trace {
        Trace::of(root, Limits::default())
    }

    /// Changes a folder, and says whether its trace has changed.
    fn differs(root: &Path, change: impl FnOnce(&Path)) -> bool {
        let before = trace(root);
        assert_eq!(trace(root), before, "nothing happens by itself");
        change(root);
        trace(root) != before
    }

    #[test]
    fn every_change_of_a_file_shows() {
        let root = folder(&["a.js", "assets/b.js"]);
        let root = root.path();
        assert!(differs(root, |root| fs::write(root.join("c.js"), "c").unwrap()));
        assert!(differs(root, |root| fs::write(root.join("assets/b.js"), "longer text").unwrap()));
        assert!(differs(root, |root| fs::rename(root.join("c.js"), root.join("d.js")).unwrap()));
        assert!(differs(root, |root| fs::remove_file(root.join("d.js")).unwrap()));
        assert!(differs(root, |root| fs::create_dir(root.join("empty")).unwrap()));
    }

    #[test]
    fn a_file_of_the_same_size_and_time_shows() {
        let root = folder(&["a.js"]);
        let file = root.path().join("a.js");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let set = |text: &str, time: SystemTime| {
            fs::write(&file, text).unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(differs(root.path(), |_| set("JS.A", time)));
    }

    #[test]
    fn a_link_shows_where_it_leads() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two) = (folder(&["a.js"]), folder(&["a.js"]));
        let current = parent.path().join("current");
        symlink(one.path(), &current).unwrap();
        assert!(differs(&current, |current| {
            fs::remove_file(current).unwrap();
            symlink(two.path(), current).unwrap();
        }));
        // The layout of a Kubernetes volume.
        let root = folder(&["..1/app.js", "..2/app.js"]);
        symlink("..1", root.path().join("..data")).unwrap();
        symlink("..data/app.js", root.path().join("app.js")).unwrap();
        assert!(differs(root.path(), |root| {
            symlink("..2", root.join("..new")).unwrap();
            fs::rename(root.join("..new"), root.join("..data")).unwrap();
        }));
    }

    #[test]
    fn a_folder_that_comes_and_goes_shows() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("dist");
        assert!(differs(&root, |root| fs::create_dir(root).unwrap()));
        assert!(differs(&root, |root| fs::remove_dir(root).unwrap()));
    }

    #[test]
    fn what_is_never_served_is_not_looked_at() {
        let root = folder(&[".git/HEAD"]);
        assert!(!differs(root.path(), |root| fs::write(root.join(".git/index"), "x").unwrap()));
    }

    #[test]
    fn a_folder_that_is_no_bundle_is_not_walked_to_its_end() {
        let root = folder(&["a/1.js", "a/2.js", "a/3.js", "z/4.js"]);
        let few = Limits { files: 1, ..Limits::default() };
        let before = Trace::of(root.path(), few);
        fs::write(root.path().join("a/3.js"), "changed").unwrap();
        assert_eq!(Trace::of(root.path(), few), before);
    }
}
