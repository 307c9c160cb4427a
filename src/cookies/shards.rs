//! One long text in several cookies: browsers drop a cookie of more than 4,096 bytes (RFC 6265bis
//! section 5.6) without a word.
//!
//! The cookies are called `<name>-0`, `<name>-1` and so on; the first says how many there are, so that
//! what is left of a longer text of before is not taken for a part of this one.

use super::attributes::{expired_own, own};

/// The most bytes of one `Set-Cookie` line.
const MAX_LINE: usize = 3800;

/// The text does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes do not fit into {shards} cookies of {MAX_LINE} bytes")]
pub struct TooLarge {
    /// How long the text is.
    pub bytes: usize,
    /// How many cookies it may take.
    pub shards: usize,
}

/// A cookie in parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharded<'a> {
    pub(super) name: &'a str,
    /// The most parts, at most ten.
    pub(super) most: usize,
}

impl Sharded<'_> {
    /// Returns the lines that set the text, and that remove parts the browser still holds of another.
    pub(super) fn lines(
        self,
        text: &str,
        max_age: u64,
        held: &[(&str, &str)],
    ) -> Result<Vec<String>, TooLarge> {
        let overhead = own(&self.part(0), "9.", max_age).len();
        let room = MAX_LINE - overhead;
        let parts: Vec<&str> = chunks(text, room).collect();
        if parts.len() > self.most {
            return Err(TooLarge { bytes: text.len(), shards: self.most });
        }
        let mut lines = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let count = if at == 0 { format!("{}.", parts.len()) } else { String::new() };
            lines.push(own(&self.part(at), &format!("{count}{part}"), max_age));
        }
        let left = self.parts_of(held).into_iter().filter(|at| *at >= parts.len());
        lines.extend(left.map(|at| expired_own(&self.part(at))));
        Ok(lines)
    }

    /// Puts the text together, if every part is there once.
    pub(super) fn join(self, held: &[(&str, &str)]) -> Option<String> {
        let part = |at: usize| {
            let name = self.part(at);
            let mut values = held.iter().filter(|(held, _)| *held == name);
            // `__Host-` leaves no room for a second one; a browser that sends two is no browser.
            values.next().filter(|_| values.next().is_none()).map(|(_, value)| *value)
        };
        let (count, first) = part(0)?.split_once('.')?;
        let count: usize = count.parse().ok().filter(|count| (1..=self.most).contains(count))?;
        let rest: Option<Vec<&str>> = (1..count).map(part).collect();
        Some(format!("{first}{}", rest?.concat()))
    }

    /// Returns the lines that remove every part that the browser holds.
    pub(super) fn removal(self, held: &[(&str, &str)]) -> Vec<String> {
        self.parts_of(held).into_iter().map(|at| expired_own(&self.part(at))).collect()
    }

    fn part(self, at: usize) -> String {
        format!("{}-{at}", self.name)
    }

    /// Which parts there are among the cookies.
    fn parts_of(self, held: &[(&str, &str)]) -> Vec<usize> {
        let is_held = |name: &str| held.iter().any(|(held, _)| *held == name);
        (0..self.most).filter(|at| is_held(&self.part(*at))).collect()
    }
}

/// Pieces of at most `room` bytes of a text in ASCII.
fn chunks(text: &str, room: usize) -> impl Iterator<Item = &str> {
    (0..text.len().div_ceil(room)).map(move |at| {
        let end = text.len().min((at + 1) * room);
        text.get(at * room..end).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDED: Sharded<'static> = Sharded { name: "__Host-x", most: 4 };

    /// What a browser holds after some lines.
    fn held(lines: &[String]) -> Vec<(String, String)> {
        let pairs = lines.iter().map(|line| line.split(';').next().unwrap());
        pairs
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }

    fn pairs(held: &[(String, String)]) -> Vec<(&str, &str)> {
        held.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn a_text_comes_back_whole_and_no_line_is_too_long() {
        for length in [1, 3_600, 3_800, 7_300, 14_000] {
            let text = "ab".repeat(length / 2 + 1);
            let lines = SHARDED.lines(&text, 43_200, &[]).unwrap();
            assert!(lines.iter().all(|line| line.len() <= MAX_LINE), "{length}");
            let held = held(&lines);
            assert_eq!(SHARDED.join(&pairs(&held)).as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_whole() {
        let error = SHARDED.lines(&"x".repeat(16_000), 60, &[]).unwrap_err();
        assert_eq!(error, TooLarge { bytes: 16_000, shards: 4 });
    }

    #[test]
    fn parts_of_a_longer_text_are_removed_and_never_read() {
        let long = held(&SHARDED.lines(&"x".repeat(9_000), 60, &[]).unwrap());
        assert_eq!(long.len(), 3);
        let lines = SHARDED.lines("short", 60, &pairs(&long)).unwrap();
        assert_eq!(lines.len(), 3, "one is set, two are removed");
        assert!(lines[1].starts_with("__Host-x-1=;") && lines[1].contains("Max-Age=0"));
        let mut mixed = held(&lines);
        mixed.extend(long[1..].to_vec());
        assert_eq!(SHARDED.join(&pairs(&mixed)).as_deref(), Some("short"));
        assert_eq!(SHARDED.removal(&pairs(&long)).len(), 3);
    }

    #[test]
    fn missing_repeated_and_invented_parts_are_absence() {
        let whole = held(&SHARDED.lines(&"x".repeat(9_000), 60, &[]).unwrap());
        assert!(SHARDED.join(&pairs(&whole[..2])).is_none());
        assert!(SHARDED.join(&pairs(&whole[1..])).is_none());
        let twice: Vec<_> = whole.iter().chain(&whole[..1]).cloned().collect();
        assert!(SHARDED.join(&pairs(&twice)).is_none());
        for first in ["", "x", "0.x", "5.x", "-1.x", "99999999999999999999.x"] {
            assert!(SHARDED.join(&[("__Host-x-0", first)]).is_none(), "{first}");
        }
    }
}
