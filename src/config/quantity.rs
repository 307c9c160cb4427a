//! Durations and numbers within bounds.

use super::raw;
use super::source::Problems;

/// Reads a duration as seconds: a number of them, or `"90s"`, `"15m"`, `"1h"`.
pub(super) fn seconds(duration: &raw::Duration) -> Result<u64, String> {
    let text = match duration {
        raw::Duration::Seconds(seconds) => return Ok(*seconds),
        raw::Duration::Text(text) => text,
    };
    let wrong = || format!("{text:?} is no duration; write for example \"90s\", \"15m\" or \"1h\"");
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => return Err(wrong()),
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| number.parse::<u64>().ok()).flatten();
    number.and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// Reads `90s`, `15m` or `1h` as seconds.
///
/// # Errors
/// A text for people.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    seconds(&raw::Duration::Text(text.to_owned()))
}

/// A number within bounds, or its default.
pub(super) fn within(
    key: &str,
    value: Option<u64>,
    default: u64,
    bounds: std::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    let value = value.unwrap_or(default);
    if bounds.contains(&value) {
        return Some(value);
    }
    problems.add(key, format!("{value} is not between {} and {}", bounds.start(), bounds.end()));
    None
}

/// A duration within bounds in seconds, or its default.
pub(super) fn duration_within(
    key: &str,
    value: Option<&raw::Duration>,
    default: u64,
    bounds: std::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<std::time::Duration> {
    let value = match value {
        None => default,
        Some(value) => problems.take(key, seconds(value))?,
    };
    if bounds.contains(&value) {
        return Some(std::time::Duration::from_secs(value));
    }
    problems
        .add(key, format!("{value} s is not between {} s and {} s", bounds.start(), bounds.end()));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_reads_one_number_and_one_unit() {
        let text = |text: &str| seconds(&raw::Duration::Text(text.to_owned()));
        assert_eq!(text("90s"), Ok(90));
        assert_eq!(text("15m"), Ok(900));
        assert_eq!(text("1h"), Ok(3600));
        assert_eq!(seconds(&raw::Duration::Seconds(5)), Ok(5));
        for wrong in
            ["", "h", "1", "-1s", "+1s", "1.5h", "1 h", "1d", "1é", "99999999999999999999h"]
        {
            assert!(text(wrong).is_err(), "{wrong:?}");
        }
    }
}
