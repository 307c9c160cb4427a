//! CloudFront's base64: the standard padded alphabet, then `+` to `-`, `=` to `_` and `/` to `~`.
//!
//! Neither alphabet of RFC 4648 is this one. Source: the CloudFront Developer Guide, "Set signed
//! cookies that use a custom policy".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Encodes `bytes` for a `CloudFront-Policy` or `CloudFront-Signature` cookie.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = STANDARD.encode(bytes).into_bytes();
    for byte in &mut text {
        *byte = match *byte {
            b'+' => b'-',
            b'=' => b'_',
            b'/' => b'~',
            other => other,
        };
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Why a cookie's value is not CloudFront base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value is ordinary base64: the three characters were never replaced.
    #[error(
        "base64 uses +, / or =: the cookies were not encoded for CloudFront, \
         which wants - for +, ~ for / and _ for ="
    )]
    StandardAlphabet,
    /// The value is base64 of no kind.
    #[error("the value is not base64 in CloudFront's alphabet")]
    NotBase64,
}

/// Decodes what [`encode`] wrote, and nothing else: padding and trailing bits are checked.
///
/// # Errors
/// [`DecodeError`] tells the common mistake of an unconverted alphabet from everything else.
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    if text.contains(['+', '/', '=']) {
        return Err(DecodeError::StandardAlphabet);
    }
    let standard: String = text
        .chars()
        .map(|character| match character {
            '-' => '+',
            '_' => '=',
            '~' => '/',
            other => other,
        })
        .collect();
    STANDARD.decode(standard).map_err(|_| DecodeError::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_replaces_the_three_characters() {
        assert_eq!(encode(&[0xfb, 0xef, 0xff, 0xfe]), "--~~~g__");
    }

    #[test]
    fn decode_reverses_encode_for_every_length() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..bytes.len() {
            let part = &bytes[..length];
            assert_eq!(decode(&encode(part)).as_deref(), Ok(part));
        }
    }

    #[test]
    fn decode_names_the_unconverted_alphabet() {
        for text in ["QQ==", "+w__", "/w__"] {
            assert_eq!(decode(text), Err(DecodeError::StandardAlphabet));
        }
    }

    #[test]
    fn decode_rejects_missing_padding_trailing_bits_and_strangers() {
        for text in ["QQ", "QR__", "Q", "QQ__QQ__", "QQ\n_", "é"] {
            assert_eq!(decode(text), Err(DecodeError::NotBase64), "{text:?}");
        }
    }
}
