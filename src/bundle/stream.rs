//! Files too large for memory: described once, and read from disk again piece by piece.
//!
//! Nothing is kept open. Each piece opens the file anew and takes it only if it is, by device, inode,
//! length and time of change, the one that was described; so a request costs no file descriptor while
//! its browser dawdles or after it has gone, and a file that was replaced, by whatever, ends the answer
//! instead of lending it somebody else's bytes. How many pieces are read at once is bounded, and the next
//! one is not read before the last one was taken.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::http::HeaderValue;
use bytes::Bytes;
use hyper::body::Frame;
use rustix::fs::OFlags;
use tokio::sync::Semaphore;

use super::file::Digesting;

/// Bytes that one answer holds in memory.
const PIECE: usize = 64 * 1024;

/// Pieces read at once, by all answers together: enough for any disk, and few enough for the threads that
/// wait for one which hangs.
const READS: usize = 32;

/// Answers that wait for their first piece. Whoever waits has a place among all requests, which people who
/// ask for cookies need too; so one more is told to come again.
const BEGINNINGS: usize = 2 * READS;

/// The places for reading from disk. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Reads {
    pieces: Arc<Semaphore>,
    beginnings: Arc<Semaphore>,
}

impl Default for Reads {
    fn default() -> Self {
        Self::with(READS, BEGINNINGS)
    }
}

impl Reads {
    fn with(pieces: usize, beginnings: usize) -> Self {
        let places = |number| Arc::new(Semaphore::new(number));
        Self { pieces: places(pieces), beginnings: places(beginnings) }
    }
}

/// Why a file on disk is not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// It is not any more what it was when the bundle was loaded, or cannot be read.
    #[error("{} is not the file that the bundle was loaded with: {source}", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Too many files are being read from disk.
    #[error("too many files are being read from disk")]
    Busy,
}

/// A file that stays on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OnDisk {
    path: PathBuf,
    stamp: Stamp,
    length: usize,
}

/// What tells one state of one file from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Not when the inode changed, which `chmod` does too: whoever may write to the folder decides what is
    /// served.
    modified: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl OnDisk {
    /// Reads a regular file once, and returns how to find it again, with its strong `ETag`.
    ///
    /// # Errors
    /// What the system says, or that the file changed meanwhile.
    pub(super) fn describe(path: &Path) -> io::Result<(Self, HeaderValue)> {
        let mut file = open(path)?;
        let stamp = Stamp::of(&file)?;
        let mut digesting = Digesting::default();
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            digesting.update(piece.get(..read).unwrap_or_default());
        }
        if Stamp::of(&file)? != stamp {
            return Err(changed());
        }
        let length = usize::try_from(stamp.length).map_err(io::Error::other)?;
        let etag = digesting.tag().map_err(io::Error::other)?;
        Ok((Self { path: path.to_owned(), stamp, length }, etag))
    }

    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Reads a piece, if the file is still the one that was described, before and after.
    fn read(&self, range: Range<usize>) -> io::Result<Bytes> {
        let file = open(&self.path)?;
        if Stamp::of(&file)? != self.stamp {
            return Err(changed());
        }
        let mut piece = vec![0; range.len()];
        file.read_exact_at(&mut piece, range.start as u64)?;
        if Stamp::of(&file)? != self.stamp {
            return Err(changed());
        }
        Ok(piece.into())
    }
}

/// Opens what must be a regular file by itself: no link, and nothing that would make opening wait.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(changed()) }
}

fn changed() -> io::Error {
    io::Error::other("it has changed since")
}

/// Opens an answer's body: reads its first piece, and the others as they are asked for.
///
/// # Errors
/// [`NotSent`], before anything is sent. Later a change ends the connection, so that the browser knows that it
/// has not got the whole.
pub(super) async fn open_body(
    disk: Arc<OnDisk>,
    range: Range<usize>,
    reads: &Reads,
) -> Result<Body, NotSent> {
    let _place = reads.beginnings.try_acquire().map_err(|_| NotSent::Busy)?;
    let mut body =
        Pieces { reads: reads.clone(), next: range.start, end: range.end, disk, reading: None };
    let first = match body.begin() {
        Some(reading) => reading.await,
        None => return Ok(Body::empty()),
    };
    let path = || body.disk.path.clone();
    let first = first.map_err(|source| NotSent::Gone { path: path(), source })?;
    body.reading = Some(Box::pin(std::future::ready(Ok(first))));
    Ok(Body::new(body))
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// A part of a file, read piece by piece.
struct Pieces {
    disk: Arc<OnDisk>,
    reads: Reads,
    /// Where the next piece begins that is not being read yet.
    next: usize,
    end: usize,
    reading: Option<Reading>,
}

impl Pieces {
    /// Begins to read the next piece, if there is one.
    fn begin(&mut self) -> Option<Reading> {
        let range = self.next..self.end.min(self.next.saturating_add(PIECE));
        self.next = range.end;
        let (disk, pieces) = (self.disk.clone(), self.reads.pieces.clone());
        (!range.is_empty()).then(|| -> Reading {
            Box::pin(async move {
                let place = pieces.acquire_owned().await.map_err(io::Error::other)?;
                // The place is the thread's: one that hangs keeps it, also when nobody waits any more.
                let reading = tokio::task::spawn_blocking(move || {
                    let piece = disk.read(range);
                    drop(place);
                    piece
                });
                reading.await.map_err(io::Error::other)?
            })
        })
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.reading.is_none() {
            self.reading = self.begin();
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let piece = ready!(reading.as_mut().poll(context));
        self.reading = None;
        if piece.is_err() {
            self.next = self.end;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none() && self.next >= self.end
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use axum::body::to_bytes;
    use http_body_util::BodyExt as _;
    use tempfile::TempDir;

    use super::*;

    /// More than two pieces, no two alike.
    fn bytes() -> Vec<u8> {
        (0..150_000_u32).flat_map(|number| (number % 251).to_be_bytes()).take(150_000).collect()
    }

    fn file() -> (TempDir, PathBuf, Arc<OnDisk>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.bin");
        fs::write(&path, bytes()).unwrap();
        let disk = Arc::new(OnDisk::describe(&path).unwrap().0);
        (folder, path, disk)
    }

    async fn read(disk: &Arc<OnDisk>, range: Range<usize>) -> Vec<u8> {
        let body = open_body(disk.clone(), range, &Reads::default()).await.unwrap();
        to_bytes(body, usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn any_range_is_read_as_it_is() {
        let (_folder, _, disk) = file();
        let piece = PIECE;
        for range in [0..150_000, 0..1, 149_999..150_000, 5..5, 7..piece + 7, piece..2 * piece] {
            assert_eq!(read(&disk, range.clone()).await, bytes()[range.clone()], "{range:?}");
        }
    }

    #[tokio::test]
    async fn the_tag_is_that_of_the_same_bytes_in_memory() {
        let (_folder, path, _) = file();
        let (_, etag) = OnDisk::describe(&path).unwrap();
        let held = super::super::File::new("/large.bin".to_owned(), bytes().into()).unwrap();
        assert_eq!(etag, held.etag());
    }

    #[tokio::test]
    async fn a_file_that_was_replaced_is_never_read() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 6] = [
            ("removed", |path| fs::remove_file(path).unwrap()),
            ("another of the same length and time", |path| {
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                let other = path.with_extension("new");
                fs::write(&other, vec![b'x'; 150_000]).unwrap();
                File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
                fs::rename(other, path).unwrap();
            }),
            ("the same one with other bytes", |path| {
                File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .write_all_at(b"secret", 10)
                    .unwrap();
            }),
            ("a link to the very same file", |path| {
                let moved = path.with_extension("moved");
                fs::rename(path, &moved).unwrap();
                symlink(moved, path).unwrap();
            }),
            ("a folder", |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            }),
            ("a pipe that nobody writes to", |path| {
                fs::remove_file(path).unwrap();
                let mode = rustix::fs::Mode::RUSR;
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
            }),
        ];
        for (what, change) in changes {
            let (_folder, path, disk) = file();
            // Times of files are as coarse as the system's tick.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&path);
            let opened = open_body(disk, 0..10, &Reads::default()).await;
            let error = opened.expect_err(what).to_string();
            assert!(error.contains("large.bin is not the file"), "{what}: {error}");
        }
    }

    #[tokio::test]
    async fn other_rights_make_no_other_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, path, disk) = file();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&disk, 0..10).await, bytes()[..10]);
    }

    #[tokio::test]
    async fn a_change_in_the_middle_ends_the_answer() {
        let (_folder, path, disk) = file();
        let mut body = open_body(disk, 0..150_000, &Reads::default()).await.unwrap();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, bytes()[..PIECE]);
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, vec![b'x'; 150_000]).unwrap();
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }

    #[tokio::test]
    async fn a_browser_that_dawdles_or_leaves_holds_no_file_and_no_place() {
        let (_folder, path, disk) = file();
        let reads = Reads::default();
        let mut bodies = Vec::new();
        for _ in 0..4 * READS {
            let mut body = open_body(disk.clone(), 0..150_000, &reads).await.unwrap();
            body.frame().await.unwrap().unwrap();
            bodies.push(body);
        }
        assert_eq!(reads.pieces.available_permits(), READS);
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let held = open.filter(|fd| {
            fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|target| target == path)
        });
        assert_eq!(held.count(), 0);
    }

    #[tokio::test]
    async fn no_more_than_the_bound_is_read_at_once() {
        let (_folder, _, disk) = file();
        let reads = Reads::with(1, 1);
        let place = reads.pieces.clone().acquire_owned().await.unwrap();
        let mut waiting = Box::pin(open_body(disk.clone(), 0..10, &reads));
        let soon = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "it waits for a place");
        let one_more = open_body(disk.clone(), 0..10, &reads).await;
        assert!(matches!(one_more, Err(NotSent::Busy)), "it does not wait beyond the bound");
        drop(place);
        assert!(waiting.await.is_ok());
        assert!(open_body(disk, 0..10, &reads).await.is_ok());
    }
}
