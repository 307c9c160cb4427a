//! Whether encoded bytes are what they are said to be, found out as a browser would: by unpacking them.

use std::io::{self, Read};

use axum::http::HeaderValue;

use super::encoding::Coding;
use super::file::Digesting;

/// The largest window that browsers take of zstd, as a power of two (RFC 9659, section 3); of memory no
/// more than that is given to whatever a file claims to need.
const ZSTD_WINDOW: u32 = 23;

/// Unpacked bytes looked at in one go.
const STEP: usize = 64 * 1024;

/// Returns whether `encoded` unpacks to the bytes of a file: so many, with this strong tag. Stops at the
/// first byte too many, so that a bomb costs no more than the file itself.
pub(super) fn decodes_to(coding: Coding, encoded: &[u8], length: u64, etag: &HeaderValue) -> bool {
    let found = match coding {
        Coding::Gzip => gunzip(encoded, length),
        Coding::Zstd => unzstd(encoded, length),
        Coding::Brotli => unbrotli(encoded, length),
    };
    found.is_ok_and(|found| found == *etag)
}

/// One member and nothing after it: browsers differ over what they make of more.
fn gunzip(mut encoded: &[u8], length: u64) -> io::Result<HeaderValue> {
    let found = digest(&mut flate2::bufread::GzDecoder::new(&mut encoded), length)?;
    if encoded.is_empty() { Ok(found) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Without windows beyond the standard's, which say so in their first byte and which no browser takes
/// (RFC 7932, section 9.1: the pattern stands for no window there).
fn unbrotli(encoded: &[u8], length: u64) -> io::Result<HeaderValue> {
    if encoded.first().is_some_and(|first| first & 0x7f == 0x11) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    digest(&mut brotli::Decompressor::new(encoded, STEP), length)
}

fn unzstd(encoded: &[u8], length: u64) -> io::Result<HeaderValue> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(encoded)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    digest(&mut decoder, length)
}

/// Returns the strong tag of what a reader gives, if that is exactly `length` bytes.
fn digest(reader: &mut impl Read, length: u64) -> io::Result<HeaderValue> {
    let mut digesting = Digesting::default();
    let mut buffer = vec![0; STEP];
    let (mut left, mut last) = (length, false);
    while !last {
        let read = reader.read(&mut buffer)?;
        let part = buffer.get(..read).unwrap_or_default();
        left = left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        digesting.update(part);
        last = read == 0;
    }
    if left > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    digesting.tag().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::compress::encode;
    use super::*;

    const BODY: &[u8] = b"function draw() { return draw(draw(draw())); }";

    fn tag(body: &[u8]) -> HeaderValue {
        let mut digesting = Digesting::default();
        digesting.update(body);
        digesting.tag().unwrap()
    }

    fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        encode(coding, body, &|| true).unwrap().unwrap()
    }

    #[test]
    fn what_unpacks_to_the_file_is_recognised() {
        for body in [BODY, b"", &b"0123456789".repeat(100_000)] {
            for coding in Coding::ALL {
                let encoded = encoded(coding, body);
                assert!(decodes_to(coding, &encoded, body.len() as u64, &tag(body)), "{coding:?}");
            }
        }
    }

    #[test]
    fn what_unpacks_to_anything_else_is_not() {
        let length = BODY.len() as u64;
        for coding in Coding::ALL {
            let whole = encoded(coding, BODY);
            let other = encoded(coding, &[b'x'; BODY.len()]);
            let longer = encoded(coding, &[BODY, b"x"].concat());
            let cut = &whole[..whole.len() - 1];
            for wrong in [&other, &longer, cut, b"", BODY] {
                assert!(!decodes_to(coding, wrong, length, &tag(BODY)), "{coding:?}");
            }
            assert!(!decodes_to(coding, &whole, length - 1, &tag(BODY)), "{coding:?}");
            assert!(!decodes_to(coding, &whole, length + 1, &tag(BODY)), "{coding:?}");
        }
        let trailing = [&encoded(Coding::Gzip, BODY)[..], b"x"].concat();
        assert!(!decodes_to(Coding::Gzip, &trailing, length, &tag(BODY)));
    }

    #[test]
    fn a_bomb_is_left_at_the_first_byte_too_many() {
        // Whoever went on would never come back.
        let error = digest(&mut io::repeat(b'1'), 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        for coding in Coding::ALL {
            let bomb = encoded(coding, &vec![b'1'; 16 << 20]);
            assert!(bomb.len() < 20_000, "{coding:?}: {}", bomb.len());
            assert!(!decodes_to(coding, &bomb, 5, &tag(b"11111")), "{coding:?}");
        }
    }

    #[test]
    fn a_window_that_no_browser_takes_is_refused() {
        let body = vec![7; 9 << 20];
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&body).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(!decodes_to(Coding::Zstd, &packed, body.len() as u64, &tag(&body)));

        let mut large = brotli::enc::BrotliEncoderParams::default();
        (large.large_window, large.lgwin, large.quality) = (true, 28, 1);
        let mut packed = Vec::new();
        brotli::BrotliCompress(&mut &body[..], &mut packed, &large).unwrap();
        assert!(!decodes_to(Coding::Brotli, &packed, body.len() as u64, &tag(&body)));
    }
}
