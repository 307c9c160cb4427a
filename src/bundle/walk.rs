//! The walk over a bundle's folder: what is read, what is skipped, and what is refused.

use std::fs::{self, DirEntry};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::content_type::{self, Code};
use super::inject::Injection;
use super::load::{Limits, LoadError};
use super::skipped::{SkipReason, Skipped};
use super::stream::OnDisk;
use super::{File, path};

/// The state of one reading: what is left to visit, and what was found.
pub(super) struct Walk<'a> {
    root: &'a Path,
    limits: Limits,
    injection: &'a Injection,
    folders: Vec<Folder>,
    pub(super) files: Vec<File>,
    pub(super) skipped: Vec<Skipped>,
    bytes_left: u64,
}

/// A folder still to be visited.
struct Folder {
    path: PathBuf,
    /// Its URL path, ending in a slash.
    url: String,
}

impl<'a> Walk<'a> {
    pub(super) fn new(root: &'a Path, limits: Limits, injection: &'a Injection) -> Self {
        Self {
            root,
            limits,
            injection,
            folders: vec![Folder { path: root.to_owned(), url: "/".to_owned() }],
            files: Vec::new(),
            skipped: Vec::new(),
            bytes_left: limits.total_bytes,
        }
    }

    /// Visits every folder. A list instead of recursion, so that depth costs no stack.
    pub(super) fn run(&mut self) -> Result<(), LoadError> {
        while let Some(folder) = self.folders.pop() {
            self.visit_folder(&folder)?;
        }
        Ok(())
    }

    fn visit_folder(&mut self, folder: &Folder) -> Result<(), LoadError> {
        let mut entries: Vec<DirEntry> = fs::read_dir(&folder.path)
            .and_then(Iterator::collect)
            .map_err(|source| LoadError::Read { path: folder.path.clone(), source })?;
        // The system's order is arbitrary; the same folder should fail or warn in the same way.
        entries.sort_by_key(DirEntry::file_name);
        entries.iter().try_for_each(|entry| self.visit_entry(folder, entry))
    }

    fn visit_entry(&mut self, folder: &Folder, entry: &DirEntry) -> Result<(), LoadError> {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or(SkipReason::NotUtf8).and_then(path::servable_name);
        let url = match name {
            Ok(name) => format!("{}{name}", folder.url),
            Err(reason) => return self.skip(path, reason),
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                self.folders.push(Folder { path, url: url + "/" });
                Ok(())
            }
            Ok(kind) if kind.is_file() => self.read(url, &path),
            Ok(kind) if kind.is_symlink() => self.visit_link(url, path),
            Ok(_) => self.skip(path, SkipReason::SpecialFile),
            Err(source) => Err(LoadError::Read { path, source }),
        }
    }

    fn visit_link(&mut self, url: String, path: PathBuf) -> Result<(), LoadError> {
        let (target, metadata) = fs::canonicalize(&path)
            .and_then(|target| fs::metadata(&target).map(|metadata| (target, metadata)))
            .map_err(|source| LoadError::BrokenLink { path: path.clone(), source })?;
        if !target.starts_with(self.root) {
            return Err(LoadError::LeavesRoot { path, target, root: self.root.to_owned() });
        }
        if metadata.is_dir() {
            self.skip(path, SkipReason::LinkToFolder)
        } else if metadata.is_file() {
            self.read(url, &target)
        } else {
            self.skip(path, SkipReason::SpecialFile)
        }
    }

    fn read(&mut self, url: String, path: &Path) -> Result<(), LoadError> {
        if self.files.len() >= self.limits.files {
            let limit = self.limits.files;
            return Err(LoadError::TooManyFiles { root: self.root.to_owned(), limit });
        }
        if let Some(file) = self.leave_on_disk(&url, path)? {
            self.files.push(file);
            return Ok(());
        }
        let body = read_at_most(path, self.bytes_left)
            .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let Some(body) = body else {
            let limit = self.limits.total_bytes;
            return Err(LoadError::TooLarge { path: path.to_owned(), limit });
        };
        self.bytes_left = self.bytes_left.saturating_sub(body.len() as u64);
        let file = File::injected(url, Bytes::from(body), self.injection)
            .map_err(|why| LoadError::File { path: path.to_owned(), why })?;
        self.files.push(file);
        Ok(())
    }

    /// Describes a file that is too large for memory, unless its type needs it there.
    fn leave_on_disk(&self, url: &str, path: &Path) -> Result<Option<File>, LoadError> {
        let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        let rewritten =
            matches!(content_type::code(&content_type::of(url)), Some(Code::Page | Code::Script));
        if length <= self.limits.stream_bytes || rewritten {
            return Ok(None);
        }
        let (disk, etag) = OnDisk::describe(path).map_err(unreadable)?;
        let file = File::on_disk(url.to_owned(), disk, etag, self.injection)
            .map_err(|why| LoadError::File { path: path.to_owned(), why })?;
        Ok(Some(file))
    }

    #[expect(clippy::unnecessary_wraps, reason = "an arm among fallible ones")]
    fn skip(&mut self, path: PathBuf, reason: SkipReason) -> Result<(), LoadError> {
        self.skipped.push(Skipped { path, reason });
        Ok(())
    }
}

/// Reads a file, or returns `None` for one of more than `limit` bytes.
fn read_at_most(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Ok(None);
    }
    let mut body = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // The file may grow meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut body)?;
    Ok(Some(body).filter(|body| body.len() as u64 <= limit))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use axum::http::Method;

    use super::super::Bundle;
    use super::super::testing::{ask_of, folder, load, paths};
    use super::*;

    fn skips(bundle: &Bundle) -> Vec<(&OsStr, SkipReason)> {
        let skips = bundle.skipped().iter();
        skips.map(|skip| (skip.path.file_name().unwrap(), skip.reason)).collect()
    }

    #[test]
    fn load_skips_what_has_no_url_and_says_why() {
        let root = folder(&[".env", ".git/config", "a\\b.js", "ok.js"]);
        fs::write(root.path().join(OsStr::from_bytes(b"caf\xe9.js")), "").unwrap();
        let _socket = UnixListener::bind(root.path().join("socket")).unwrap();
        symlink(".git", root.path().join("git")).unwrap();
        symlink("socket", root.path().join("to-socket")).unwrap();
        symlink("/etc/passwd", root.path().join(".hidden-link")).unwrap();

        let bundle = load(&root).unwrap();
        assert_eq!(paths(&bundle), ["/index.html", "/ok.js"]);
        let expected = [
            (OsStr::new(".env"), SkipReason::DotFile),
            (OsStr::new(".git"), SkipReason::DotFile),
            (OsStr::new(".hidden-link"), SkipReason::DotFile),
            (OsStr::new("a\\b.js"), SkipReason::Backslash),
            (OsStr::from_bytes(b"caf\xe9.js"), SkipReason::NotUtf8),
            (OsStr::new("git"), SkipReason::LinkToFolder),
            (OsStr::new("socket"), SkipReason::SpecialFile),
            (OsStr::new("to-socket"), SkipReason::SpecialFile),
        ];
        assert_eq!(skips(&bundle), expected);
        let text = bundle.skipped().first().unwrap().to_string();
        assert!(text.ends_with("/.env is not served: its name begins with a dot"), "{text}");
    }

    #[test]
    fn load_follows_links_to_files_inside_the_folder() {
        // The layout of a Kubernetes volume: names lead through a hidden link to a hidden folder.
        let root = folder(&["..2026_01_01/app.js", "real.css"]);
        symlink("..2026_01_01", root.path().join("..data")).unwrap();
        symlink("..data/app.js", root.path().join("app.js")).unwrap();
        symlink("real.css", root.path().join("one.css")).unwrap();
        symlink("one.css", root.path().join("two.css")).unwrap();

        let bundle = load(&root).unwrap();
        let expected = ["/app.js", "/index.html", "/one.css", "/real.css", "/two.css"];
        assert_eq!(paths(&bundle), expected);
        assert_eq!(bundle.get("/app.js").unwrap().body().unwrap(), "..2026_01_01/app.js");
        assert_eq!(bundle.get("/two.css").unwrap().body().unwrap(), "real.css");
    }

    #[test]
    fn load_refuses_links_that_leave_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret.txt");
        fs::write(&secret, "secret").unwrap();
        let targets = [&secret, outside.path(), Path::new("/dev/null"), Path::new("../..")];
        for target in targets {
            let root = folder(&["assets/a.js"]);
            symlink(target, root.path().join("assets/link.txt")).unwrap();
            let error = load(&root).unwrap_err();
            assert!(matches!(error, LoadError::LeavesRoot { .. }), "{target:?}: {error}");
            assert!(error.to_string().contains("/assets/link.txt leads to "), "{error}");
        }
    }

    #[test]
    fn load_refuses_a_link_that_leaves_by_way_of_a_hidden_one() {
        let root = folder(&[]);
        symlink("/dev/null", root.path().join(".hidden")).unwrap();
        symlink(".hidden", root.path().join("a.js")).unwrap();
        let error = load(&root).unwrap_err();
        assert!(matches!(error, LoadError::LeavesRoot { .. }), "{error}");
    }

    #[test]
    fn load_refuses_a_neighbour_whose_name_begins_like_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        for (path, text) in [("www/index.html", "<html>"), ("www-private/a.js", "private")] {
            let path = parent.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = parent.path().join("www");
        symlink("../www-private/a.js", root.join("a.js")).unwrap();
        let error = Bundle::load(&root, Limits::default(), &Injection::default()).unwrap_err();
        assert!(matches!(error, LoadError::LeavesRoot { .. }), "{error}");
    }

    #[test]
    fn load_refuses_broken_and_circular_links() {
        for target in ["nowhere.js", "link.js"] {
            let root = folder(&[]);
            symlink(target, root.path().join("link.js")).unwrap();
            let error = load(&root).unwrap_err();
            assert!(matches!(error, LoadError::BrokenLink { .. }), "{error}");
            assert!(error.to_string().contains("/link.js cannot be followed"), "{error}");
        }
    }
    #[test]
    fn load_leaves_large_files_on_disk_unless_a_browser_runs_them() {
        let root = folder(&[]);
        let large = vec![b'7'; 5000];
        for name in ["model.bin", "main.js", "about.html", "small.bin"] {
            let body = if name == "small.bin" { &large[..4096] } else { &large[..] };
            fs::write(root.path().join(name), body).unwrap();
        }
        symlink("model.bin", root.path().join("link.bin")).unwrap();
        let limits = Limits { stream_bytes: 4096, total_bytes: 4096 + 2 * 5000 + 6, files: 6 };
        let bundle = Bundle::load(root.path(), limits, &Injection::default()).unwrap();
        let held = bundle.files().iter().filter(|file| file.body().is_some()).map(File::path);
        let held: Vec<_> = held.collect();
        assert_eq!(held, ["/about.html", "/index.html", "/main.js", "/small.bin"]);
        for path in ["/model.bin", "/link.bin"] {
            let answer = ask_of(&bundle, &Method::GET, path, &[]);
            assert_eq!((answer.status, &*answer.body), (200, &*large), "{path}");
            assert_eq!(answer.header("content-length"), "5000");
            let bodiless = ask_of(&bundle, &Method::HEAD, path, &[]);
            assert_eq!((bodiless.headers, &*bodiless.body), (answer.headers, &b""[..]));
            let part = ask_of(&bundle, &Method::GET, path, &[("range", "bytes=4990-")]);
            assert_eq!((part.status, &*part.body), (206, &large[4990..]), "{path}");
        }
        let fewer = Limits { files: 5, ..limits };
        assert!(Bundle::load(root.path(), fewer, &Injection::default()).is_err());
    }
}
