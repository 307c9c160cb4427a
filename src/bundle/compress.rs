//! Compression of a bundle, behind the back of whoever asks for it meanwhile.
//!
//! A bundle is served as it is from the first moment. One thread, which gives way to everything else on
//! the machine, then finds out what each file is in each coding, the cheap coding first, so that
//! something good is there soon and the best a little later. It ends when nothing is left to do, and stops
//! short when nobody holds the bundle any more. Equal bytes are compressed once, in whatever bundle they are.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use axum::http::HeaderValue;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::decode::decodes_to;
use super::encoding::{Coding, Encoded, Encodings};
use super::{Bundle, File};

/// How much compression gives way, on a scale from 0 to 19 (`nice(2)`): to signing too, which others wait
/// for.
const NICENESS: i32 = 19;

/// The cheapest first: gzip of a whole Neuroglancer takes a fraction of a second, brotli many.
const ORDER: [Coding; 3] = [Coding::Gzip, Coding::Zstd, Coding::Brotli];

/// Bytes compressed between two looks at whether anybody still wants the result.
const STEP: usize = 64 * 1024;

/// Brotli's largest window, as a power of two, that a browser takes (RFC 7932, section 9.1), and the least.
const BROTLI_WINDOW: std::ops::RangeInclusive<u32> = 16..=24;

/// Compresses bundles. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Compressor(Arc<Mutex<Work>>);

#[derive(Debug, Default)]
struct Work {
    waiting: VecDeque<Weak<Bundle>>,
    /// Every bundle that was handed in and is still held.
    taken: Vec<Weak<Bundle>>,
    /// Whether there is a thread that will take the next one.
    running: bool,
    /// By a file's own tag, what has been found out about its bytes.
    known: HashMap<HeaderValue, Weak<Encodings>>,
}

impl Compressor {
    /// Takes over what is known of a bundle's files from earlier bundles, and has the rest compressed in the
    /// background. A bundle that was here before costs nothing.
    ///
    /// Where the system gives no thread, the bundle stays uncompressed until the next one is handed in.
    pub fn take_on(&self, bundle: &Arc<Bundle>) {
        let mut work = self.lock();
        work.taken.retain(|taken| taken.strong_count() > 0);
        if work.taken.iter().any(|taken| std::ptr::eq(taken.as_ptr(), Arc::as_ptr(bundle))) {
            return;
        }
        work.taken.push(Arc::downgrade(bundle));
        work.share(bundle);
        if bundle.files().iter().all(|file| unsettled(file).next().is_none()) {
            return;
        }
        work.waiting.push_back(Arc::downgrade(bundle));
        if !work.running {
            let compressor = self.clone();
            let thread = thread::Builder::new().name("compression".to_owned());
            work.running = thread.spawn(move || compressor.run()).is_ok();
        }
    }

    /// Works until nothing waits.
    fn run(&self) {
        // Where the system refuses, compression goes on at everybody's priority.
        let _ = setpriority_process(Some(gettid()), NICENESS);
        while let Some(bundle) = self.next() {
            for coding in ORDER {
                compress_all(&bundle, coding);
            }
        }
    }

    fn next(&self) -> Option<Weak<Bundle>> {
        let mut work = self.lock();
        let next = work.waiting.pop_front();
        work.running = next.is_some();
        if let Some(bundle) = next.as_ref().and_then(Weak::upgrade) {
            // What has become known since it was handed in.
            work.share(&bundle);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn share(&mut self, bundle: &Bundle) {
        self.known.retain(|_, encodings| encodings.strong_count() > 0);
        for file in bundle.files() {
            let Some(encodings) = file.encodings() else { continue };
            match self.known.get(file.etag()).and_then(Weak::upgrade) {
                Some(known) => encodings.settle_as(&known),
                None => {
                    self.known.insert(file.etag().clone(), Arc::downgrade(encodings));
                }
            }
        }
    }
}

/// The codings about which nothing is known yet.
fn unsettled(file: &File) -> impl Iterator<Item = Coding> {
    // What stays on disk would not fit into memory compressed either.
    let encodings = file.encodings().filter(|_| file.body().is_some());
    ORDER.into_iter().filter(move |&coding| encodings.is_some_and(|all| !all.is_settled(coding)))
}

/// Compresses every file of a bundle in one coding, for as long as somebody holds the bundle.
fn compress_all(bundle: &Weak<Bundle>, coding: Coding) {
    let mut at = 0;
    // Held for no longer than it takes to look: the bundle's memory is not ours to keep.
    while let Some(held) = bundle.upgrade() {
        let Some(file) = held.files().get(at).cloned() else { return };
        drop(held);
        at += 1;
        compress(&file, coding, &|| bundle.strong_count() > 0);
    }
}

fn compress(file: &File, coding: Coding, wanted: &dyn Fn() -> bool) {
    let (Some(encodings), Some(body)) = (file.encodings(), file.body()) else { return };
    if encodings.is_settled(coding) {
        return;
    }
    // What gzip makes no smaller is packed already, and costs the others more time than it is worth.
    let hopeless = encodings.is_settled(Coding::Gzip) && encodings.get(Coding::Gzip).is_none();
    let encoded = if hopeless {
        Ok(None)
    } else {
        // Whatever goes wrong in a compressor costs this file this coding, and nothing else.
        catch_unwind(AssertUnwindSafe(|| encode(coding, body, wanted))).unwrap_or(Ok(None))
    };
    if let Ok(encoded) = encoded {
        let right = |encoded: &Vec<u8>| decodes_to(coding, encoded, body.len() as u64, file.etag());
        let kept =
            encoded.filter(|encoded| is_worth_it(encoded.len(), body.len()) && right(encoded));
        let kept = kept.and_then(|kept| Encoded::new(file.etag(), coding, Bytes::from(kept)).ok());
        encodings.settle(coding, kept);
    }
}

/// Whether the browser's work of unpacking, and ours of keeping two, saves enough: a twentieth, and a few
/// bytes for the headers that say so.
const fn is_worth_it(encoded: usize, identity: usize) -> bool {
    encoded + identity / 20 + 32 <= identity
}

/// Nobody wants the result any more.
#[derive(Debug)]
pub(super) struct Unwanted;

/// Compresses as small as the coding can. `None` if the compressor gives up.
pub(super) fn encode(
    coding: Coding,
    body: &[u8],
    wanted: &dyn Fn() -> bool,
) -> Result<Option<Vec<u8>>, Unwanted> {
    match coding {
        Coding::Gzip => gzip(body, wanted),
        Coding::Zstd => zstd(body, wanted),
        Coding::Brotli => brotli(body, wanted),
    }
}

fn gzip(body: &[u8], wanted: &dyn Fn() -> bool) -> Result<Option<Vec<u8>>, Unwanted> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let written = feed(&mut encoder, body, wanted)?;
    Ok(written.and_then(|()| encoder.finish()).ok())
}

/// Level 19 is the highest whose window, 8 MiB, every browser takes (RFC 9659, section 3).
fn zstd(body: &[u8], wanted: &dyn Fn() -> bool) -> Result<Option<Vec<u8>>, Unwanted> {
    let Ok(mut encoder) = zstd::stream::write::Encoder::new(Vec::new(), 19) else {
        return Ok(None);
    };
    // So that the tables are as large as the file needs.
    let written = match encoder.set_pledged_src_size(Some(body.len() as u64)) {
        Ok(()) => feed(&mut encoder, body, wanted)?,
        Err(error) => Err(error),
    };
    Ok(written.and_then(|()| encoder.finish()).ok())
}

fn brotli(body: &[u8], wanted: &dyn Fn() -> bool) -> Result<Option<Vec<u8>>, Unwanted> {
    let needed = usize::BITS - body.len().leading_zeros();
    let window = needed.clamp(*BROTLI_WINDOW.start(), *BROTLI_WINDOW.end());
    let parameters = BrotliEncoderParams {
        quality: 11,
        lgwin: i32::try_from(window).unwrap_or(22),
        size_hint: body.len(),
        ..BrotliEncoderParams::default()
    };
    let mut encoder = brotli::CompressorWriter::with_params(Vec::new(), STEP, &parameters);
    let written = feed(&mut encoder, body, wanted)?;
    Ok(written.ok().map(|()| encoder.into_inner()))
}

fn feed(
    encoder: &mut impl Write,
    body: &[u8],
    wanted: &dyn Fn() -> bool,
) -> Result<io::Result<()>, Unwanted> {
    for part in body.chunks(STEP) {
        if !wanted() {
            return Err(Unwanted);
        }
        if let Err(error) = encoder.write_all(part) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use super::super::testing::ask_of;
    use super::*;

    /// A script that compresses well, and is like no other number's.
    fn script(number: usize) -> Bytes {
        let line = |at: usize| format!("draw({number}, {}, {});\n", at * number, at % 17);
        (0..2000).map(line).collect::<String>().into()
    }

    fn bundle(files: &[(&str, Bytes)]) -> Arc<Bundle> {
        let file = |(path, body): &(&str, Bytes)| File::new((*path).to_owned(), body.clone());
        let files = files.iter().map(|one| file(one).unwrap()).collect();
        Arc::new(Bundle::assemble(files, Vec::new()))
    }

    fn wait_until(done: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < end, "still not done");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_done(bundle: &Bundle) -> bool {
        bundle.files().iter().all(|file| unsettled(file).next().is_none())
    }

    #[test]
    fn every_coding_unpacks_to_the_file_and_is_smaller() {
        for body in [script(1), Bytes::from(script(1).repeat(9))] {
            for coding in Coding::ALL {
                let encoded = encode(coding, &body, &|| true).unwrap().unwrap();
                let file = File::new("/a.js".to_owned(), body.clone()).unwrap();
                assert!(decodes_to(coding, &encoded, body.len() as u64, file.etag()));
                assert!(encoded.len() * 3 < body.len(), "{coding:?}: {}", encoded.len());
            }
        }
    }

    #[test]
    fn files_are_served_at_once_and_compressed_a_little_later() {
        let files = [("/index.html", script(1)), ("/a.js", script(2)), ("/a.png", script(3))];
        let bundle = bundle(&files);
        let all = [("accept-encoding", "gzip, deflate, br, zstd")];
        let get = |path| ask_of(&bundle, &axum::http::Method::GET, path, &all);
        assert_eq!(get("/a.js").body, script(2));
        let compressor = Compressor::default();
        compressor.take_on(&bundle);
        wait_until(|| is_done(&bundle));
        let answer = get("/a.js");
        assert_eq!(answer.header("content-encoding"), "br");
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert!(answer.body.len() * 3 < script(2).len());
        let image = get("/a.png");
        assert_eq!((image.header("content-encoding"), image.header("vary")), ("", ""));
        wait_until(|| !compressor.lock().running);
    }

    #[test]
    fn what_saves_too_little_stays_as_it_is() {
        // No two bytes alike, and a script too short to bother.
        let mut state = 1_u64;
        let noise: Bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(5000)
        .collect();
        let bundle = bundle(&[("/index.html", noise), ("/a.js", Bytes::from_static(b"draw();"))]);
        Compressor::default().take_on(&bundle);
        wait_until(|| is_done(&bundle));
        for file in bundle.files() {
            assert!(Coding::ALL.iter().all(|coding| file.encoded(*coding).is_none()), "{file:?}");
        }
        assert!(is_worth_it(900, 1000) && !is_worth_it(940, 1000) && !is_worth_it(10, 41));
    }

    #[test]
    fn equal_bytes_are_compressed_once() {
        let compressor = Compressor::default();
        let first = bundle(&[("/index.html", script(1)), ("/a.js", script(2))]);
        compressor.take_on(&first);
        compressor.take_on(&first);
        assert!(compressor.lock().waiting.len() <= 1, "once is enough");
        wait_until(|| is_done(&first));
        let next = bundle(&[("/index.html", script(3)), ("/renamed.js", script(2))]);
        compressor.take_on(&next);
        // At once, and not by the thread: nothing is to be worse after a reload than before.
        let (old, new) = (first.get("/a.js").unwrap(), next.get("/renamed.js").unwrap());
        for coding in Coding::ALL {
            let (old, new) = (old.encoded(coding).unwrap(), new.encoded(coding).unwrap());
            assert_eq!(old.body().as_ptr(), new.body().as_ptr(), "{coding:?}");
        }
        wait_until(|| is_done(&next));
        drop((first, next));
        compressor.take_on(&bundle(&[("/index.html", Bytes::new())]));
        assert!(compressor.lock().known.len() <= 1, "what nobody holds is forgotten");
    }

    #[test]
    fn a_bundle_that_is_gone_costs_nothing_more() {
        let looks = Cell::new(0);
        let wanted = || {
            looks.set(looks.get() + 1);
            looks.get() < 3
        };
        let body = vec![b'x'; 100 * STEP];
        for coding in Coding::ALL {
            looks.set(0);
            assert!(encode(coding, &body, &wanted).is_err(), "{coding:?}");
            assert_eq!(looks.get(), 3);
        }
        let file = File::new("/a.js".to_owned(), body.into()).unwrap();
        compress(&file, Coding::Gzip, &|| false);
        assert_eq!(unsettled(&file).count(), 3, "nothing is said about what was not finished");
    }
}
