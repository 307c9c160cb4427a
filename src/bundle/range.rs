//! Byte ranges (RFC 9110, section 14): the value of one `Range` field against one length.

use std::ops::Range;

/// What a `Range` field asks of a body of known length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Nothing that has to be honoured: another unit, several ranges, or malformed. A server may
    /// ignore any `Range` (section 14.2), and then sends the whole body.
    Whole,
    /// These bytes, never none of them.
    Part(Range<usize>),
    /// One well-formed range that selects no byte.
    Unsatisfiable,
}

/// Selects from a body of `length` bytes by the value of a `Range` field.
pub(super) fn select(field: &str, length: usize) -> Selection {
    parse(field).map_or(Selection::Whole, |spec| spec.apply(length))
}

/// One range as written.
enum Spec {
    /// `first-last` or `first-`, both inclusive.
    From { first: usize, last: usize },
    /// `-count`: the last bytes.
    Last { count: usize },
}

impl Spec {
    fn apply(&self, length: usize) -> Selection {
        match *self {
            // Content-Range has no spelling for the last n bytes of nothing (section 14.4).
            Self::Last { count: 1.. } if length == 0 => Selection::Whole,
            Self::Last { count: count @ 1.. } => {
                Selection::Part(length.saturating_sub(count)..length)
            }
            Self::From { first, last } if first < length => {
                Selection::Part(first..last.saturating_add(1).min(length))
            }
            _ => Selection::Unsatisfiable,
        }
    }
}

fn parse(field: &str) -> Option<Spec> {
    let (unit, set) = field.split_once('=')?;
    let (first, last) = set.trim_matches([' ', '\t']).split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    if first.is_empty() {
        return number(last).map(|count| Spec::Last { count });
    }
    let first = number(first)?;
    let last = if last.is_empty() { usize::MAX } else { number(last)? };
    (first <= last).then_some(Spec::From { first, last })
}

/// Reads decimal digits and nothing else; a number too large to hold is as good as the largest.
fn number(digits: &str) -> Option<usize> {
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_selects_its_bytes() {
        let cases = [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=0-", 0..10),
            ("bytes=9-9", 9..10),
            ("bytes=5-99", 5..10),
            ("bytes=5-99999999999999999999999999", 5..10),
            ("bytes=-1", 9..10),
            ("bytes=-10", 0..10),
            ("bytes=-11", 0..10),
            ("bytes=-99999999999999999999999999", 0..10),
            ("BYTES=2-5", 2..6),
            ("bytes= 2-5\t", 2..6),
            ("bytes=002-05", 2..6),
        ];
        for (field, expected) in cases {
            assert_eq!(select(field, 10), Selection::Part(expected), "{field}");
        }
    }

    #[test]
    fn ranges_that_need_not_be_honoured_select_the_whole() {
        let cases = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=--1",
            "bytes=1--2",
            "bytes=1 - 2",
            "bytes=0x1-2",
            "bytes=1-2-3",
            "bytes=0-1,4-5",
            "bytes=0-1,",
            "bytes 0-1",
            "items=0-1",
            "bytes=\u{0661}-",
            "bytes=1.0-2",
        ];
        for field in cases {
            assert_eq!(select(field, 10), Selection::Whole, "{field}");
        }
    }

    #[test]
    fn ranges_past_the_end_are_unsatisfiable() {
        for field in ["bytes=10-", "bytes=10-10", "bytes=99-100", "bytes=-0"] {
            assert_eq!(select(field, 10), Selection::Unsatisfiable, "{field}");
        }
        let huge = "bytes=99999999999999999999999999-";
        assert_eq!(select(huge, 10), Selection::Unsatisfiable);
    }

    #[test]
    fn an_empty_body_has_no_bytes_to_select() {
        let cases = [
            ("bytes=0-", Selection::Unsatisfiable),
            ("bytes=0-0", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=-5", Selection::Whole),
        ];
        for (field, expected) in cases {
            assert_eq!(select(field, 0), expected, "{field}");
        }
    }
}
