//! `Accept-Encoding` (RFC 9110, section 12.5.3): which coding a request is answered in.
//!
//! 1. The coding with the greatest weight wins; of equal ones, brotli before zstd before gzip before none.
//! 2. No field at all is answered without any coding: what sends none may be a script that unpacks none.
//! 3. A member that is malformed counts as absent, and of two for one coding the first counts.
//! 4. Where nothing that is acceptable is at hand, and no coding at all is refused, the file is sent as it
//!    is all the same, as section 12.4.1 allows: a file serves more people than 406.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

use super::conditional::items;
use super::encoding::Coding;

/// A weight in thousandths; 0 is "not acceptable".
type Weight = u16;

/// What one request accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    codings: [Weight; Coding::ALL.len()],
    /// That of no coding at all; `None` if it was not mentioned, so that everything else comes before it.
    identity: Option<Weight>,
}

impl Accepted {
    /// Reads all `Accept-Encoding` fields of a request.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut named: [Option<Weight>; Coding::ALL.len()] = [None; Coding::ALL.len()];
        let (mut identity, mut others) = (None, None);
        for (name, weight) in items(headers, &ACCEPT_ENCODING).filter_map(member) {
            if name.eq_ignore_ascii_case(b"identity") {
                identity.get_or_insert(weight);
            } else if name == b"*" {
                others.get_or_insert(weight);
            }
            for (place, coding) in named.iter_mut().zip(Coding::ALL) {
                if is_named(coding, name) {
                    place.get_or_insert(weight);
                }
            }
        }
        Self {
            codings: named.map(|weight| weight.or(others).unwrap_or(0)),
            identity: identity.or(others),
        }
    }

    /// Chooses among the codings at hand, or none of them.
    #[must_use]
    pub fn choose(&self, at_hand: impl Fn(Coding) -> bool) -> Option<Coding> {
        let weighed = Coding::ALL.into_iter().zip(self.codings);
        let mut best = None;
        for (coding, weight) in weighed {
            let better = best.is_none_or(|(_, before)| weight > before);
            if weight > 0 && better && at_hand(coding) {
                best = Some((coding, weight));
            }
        }
        let (coding, weight) = best?;
        self.identity.is_none_or(|identity| weight >= identity).then_some(coding)
    }

    /// Whether the request could be answered in a coding.
    #[must_use]
    pub fn accepts(&self, coding: Coding) -> bool {
        let weighed = Coding::ALL.into_iter().zip(self.codings);
        weighed.into_iter().any(|(one, weight)| one == coding && weight > 0)
    }
}

/// RFC 9110, section 8.4.1.3: `x-gzip` is another name of gzip.
fn is_named(coding: Coding, name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(coding.token().as_bytes())
        || (coding == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip"))
}

/// One member: a coding's name and its weight.
fn member(item: &[u8]) -> Option<(&[u8], Weight)> {
    let mut parts = item.splitn(2, |&byte| byte == b';');
    let name = parts.next()?.trim_ascii();
    let weight = match parts.next() {
        None => 1000,
        Some(weight) => thousandths(weight.trim_ascii())?,
    };
    (!name.is_empty()).then_some((name, weight))
}

/// A weight as section 12.4.2 spells it: `q=`, then 0 or 1, with up to three decimals.
fn thousandths(text: &[u8]) -> Option<Weight> {
    let (b"q=" | b"Q=", value) = text.split_at_checked(2)? else { return None };
    let (whole, decimals) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    let mut unit = 100;
    for digit in decimals {
        weight += unit * Weight::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        unit /= 10;
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::Coding::{Brotli, Gzip, Zstd};
    use super::*;

    fn accepted(lines: &[&str]) -> Accepted {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        Accepted::of(&headers)
    }

    fn chosen(line: &str) -> Option<Coding> {
        accepted(&[line]).choose(|_| true)
    }

    #[test]
    fn the_greatest_weight_wins_and_brotli_among_equals() {
        let cases = [
            // Chromium and Firefox; Safari; curl --compressed without brotli.
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip, deflate, br", Some(Brotli)),
            ("deflate, gzip", Some(Gzip)),
            ("zstd, gzip", Some(Zstd)),
            ("gzip;q=1.0, br;q=0.8", Some(Gzip)),
            ("gzip;q=0.999,zstd;q=1", Some(Zstd)),
            ("br;q=0.001", Some(Brotli)),
            ("BR", Some(Brotli)),
            ("x-gzip", Some(Gzip)),
            ("br ; q=0.5 ,\tgzip\t;\tQ=0.4", Some(Brotli)),
            (",, br,,", Some(Brotli)),
            ("*", Some(Brotli)),
            ("*;q=0.1", Some(Brotli)),
            ("br;q=0, *", Some(Zstd)),
            ("br;q=0.1, *;q=0.5", Some(Zstd)),
            ("identity;q=0.5, br;q=0.5", Some(Brotli)),
            ("identity;q=0, gzip", Some(Gzip)),
            ("unknown, gzip;q=0.2", Some(Gzip)),
            ("gzip, gzip;q=0", Some(Gzip)),
        ];
        for (line, expected) in cases {
            assert_eq!(chosen(line), expected, "{line}");
        }
    }

    #[test]
    fn what_names_no_coding_of_ours_gets_the_file_as_it_is() {
        let cases = [
            "",
            "identity",
            "deflate",
            "compress, deflate;q=0.5",
            "br;q=0",
            "br;q=0.0, gzip;q=0.000",
            "*;q=0",
            "identity;q=0, *;q=0",
            "gzip;q=0.5, identity;q=0.6",
            "gzip;q=0.5, *;q=0, identity",
        ];
        for line in cases {
            assert_eq!(chosen(line), None, "{line}");
        }
        assert_eq!(accepted(&[]).choose(|_| true), None, "no field");
    }

    #[test]
    fn malformed_members_count_as_absent() {
        let cases = [
            "br;q=2",
            "br;q=1.001",
            "br;q=0.1234",
            "br;q=-1",
            "br;q=.5",
            "br;q=",
            "br;q",
            "br;",
            "br;level=5",
            "br;q=0.5;x=1",
            "br;q =0.5",
            "br;q=0,5",
            "br q=1",
            ";q=1",
            "\"br\"",
            "b r",
        ];
        for line in cases {
            assert_eq!(accepted(&[line]), Accepted::default(), "{line}");
            assert_eq!(chosen(&format!("{line}, gzip;q=0.3")), Some(Gzip), "{line}");
        }
        assert_eq!(chosen("br;q=1."), Some(Brotli), "the grammar allows no decimals at all");
    }

    #[test]
    fn lines_are_one_list() {
        assert_eq!(accepted(&["gzip;q=0.5", "br"]).choose(|_| true), Some(Brotli));
        assert_eq!(accepted(&["br;q=0", "br"]).choose(|_| true), None);
    }

    #[test]
    fn only_what_is_at_hand_is_chosen() {
        let all = accepted(&["br, zstd, gzip"]);
        assert_eq!(all.choose(|coding| coding != Brotli), Some(Zstd));
        assert_eq!(all.choose(|coding| coding == Gzip), Some(Gzip));
        assert_eq!(all.choose(|_| false), None);
        // Weighed below no coding, the one that is left is not chosen.
        let line = accepted(&["br, gzip;q=0.1, identity;q=0.5"]);
        assert_eq!(line.choose(|_| true), Some(Brotli));
        assert_eq!(line.choose(|coding| coding == Gzip), None);
        assert!(line.accepts(Gzip) && !line.accepts(Zstd));
    }
}
