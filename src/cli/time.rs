//! Times as the AWS CLI reads them.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::clock::EpochSeconds;

/// Reads `2026-01-31`, `2026-01-31T12:00:00` (UTC), the same with an offset, or epoch seconds.
pub(super) fn parse(text: &str) -> Result<EpochSeconds, String> {
    let date = format_description!("[year]-[month]-[day]");
    let date_time = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let seconds = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse::<u64>().ok()
    } else {
        OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| {
                PrimitiveDateTime::parse(text, &date_time).map(PrimitiveDateTime::assume_utc)
            })
            .or_else(|_| Date::parse(text, &date).map(|day| day.midnight().assume_utc()))
            .ok()
            .and_then(|moment| u64::try_from(moment.unix_timestamp()).ok())
    };
    seconds.map(EpochSeconds).ok_or_else(|| {
        "write 2026-01-31, 2026-01-31T12:00:00 (UTC), 2026-01-31T12:00:00+01:00 or seconds since 1970"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_what_the_aws_cli_reads() {
        for (text, expected) in [
            ("2026-01-01", 1_767_225_600),
            ("2026-01-01T18:00:00", 1_767_290_400),
            ("2026-01-01T18:00:00Z", 1_767_290_400),
            ("2026-01-01T19:00:00+01:00", 1_767_290_400),
            ("1767290400", 1_767_290_400),
        ] {
            assert_eq!(parse(text), Ok(EpochSeconds(expected)), "{text}");
        }
        for text in
            ["", "tomorrow", "-5", "2026-13-01", "1960-01-01", "1e9", "99999999999999999999999"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
