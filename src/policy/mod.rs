//! CloudFront policy statements: what a signature says may be read, until when, from where.
//!
//! - A *canned* policy names one resource and an expiry. The browser sends no JSON: CloudFront
//!   rebuilds it, so the bytes signed must be exactly the documented ones.
//! - A *custom* policy travels with the request and may hold wildcards, a start time and an IPv4
//!   range.
//!
//! Exactly one statement and one resource per policy. `DateLessThan` is always there and so is
//! `Resource`: without it a policy opens every file of every distribution that trusts the key.
//!
//! The bytes follow botocore's (key order `DateLessThan`, `IpAddress`, `DateGreaterThan`;
//! non-ASCII as `\uXXXX`), because AWS's own command line signs through it. AWS's JavaScript
//! signer writes another order and raw UTF-8; CloudFront verifies whatever bytes it receives.

pub mod base64;
mod base_url;
mod parse;
mod resource;

use std::fmt::Write as _;

use ipnet::Ipv4Net;

pub use self::base_url::{BaseUrl, BaseUrlError, domain_matches};
pub use self::parse::{PolicyError, parse_custom, parse_source_ip};
pub use self::resource::{MAX_RESOURCE_BYTES, Resource, ResourceError};
use crate::clock::EpochSeconds;

/// The last time that CloudFront documents for `CloudFront-Expires`.
pub const LAST_EXPIRY: EpochSeconds = EpochSeconds(2_147_483_647);

/// A CloudFront policy statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// One resource without wildcards, and an expiry.
    Canned {
        /// The URL that may be read.
        resource: Resource,
        /// Requests at or after this time are refused.
        expires: EpochSeconds,
    },
    /// A resource that may hold wildcards, with optional conditions.
    Custom(Custom),
}

/// The parts of a custom policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Custom {
    /// The URLs that may be read.
    pub resource: Resource,
    /// Requests at or after this time are refused.
    pub expires: EpochSeconds,
    /// Requests at or before this time are refused. Left out by default: clocks differ.
    pub starts: Option<EpochSeconds>,
    /// The IPv4 addresses that may ask. CloudFront knows no IPv6 here.
    pub source_ip: Option<Ipv4Net>,
}

/// Why a policy cannot be stated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A canned policy was asked for a wildcard.
    #[error("a canned policy cannot hold a wildcard: {0}")]
    WildcardInCanned(Resource),
    /// Later than CloudFront's last time, which milliseconds in place of seconds always are.
    #[error("the time {0} is past 2038-01-19, CloudFront's last; were milliseconds given?")]
    TooLate(u64),
    /// A window that is never open.
    #[error("the policy starts at {starts} but ends at {expires}")]
    NeverOpen {
        /// When it would start.
        starts: EpochSeconds,
        /// When it would end.
        expires: EpochSeconds,
    },
}

impl Policy {
    /// States a canned policy.
    ///
    /// # Errors
    /// [`StatementError`] for a wildcard or a time past CloudFront's last.
    pub fn canned(resource: Resource, expires: EpochSeconds) -> Result<Self, StatementError> {
        if resource.has_wildcard() {
            return Err(StatementError::WildcardInCanned(resource));
        }
        within_range(expires)?;
        Ok(Self::Canned { resource, expires })
    }

    /// States a custom policy.
    ///
    /// # Errors
    /// [`StatementError`] for a time past CloudFront's last or a window that is never open.
    pub fn custom(custom: Custom) -> Result<Self, StatementError> {
        within_range(custom.expires)?;
        if let Some(starts) = custom.starts {
            within_range(starts)?;
            if starts >= custom.expires {
                return Err(StatementError::NeverOpen { starts, expires: custom.expires });
            }
        }
        Ok(Self::Custom(custom))
    }

    /// The URLs that may be read.
    #[must_use]
    pub const fn resource(&self) -> &Resource {
        match self {
            Self::Canned { resource, .. } => resource,
            Self::Custom(custom) => &custom.resource,
        }
    }

    /// The first second at which requests are refused.
    #[must_use]
    pub const fn expires(&self) -> EpochSeconds {
        match self {
            Self::Canned { expires, .. } => *expires,
            Self::Custom(custom) => custom.expires,
        }
    }

    /// The IPv4 addresses that may ask, if that is limited.
    #[must_use]
    pub const fn source_ip(&self) -> Option<Ipv4Net> {
        match self {
            Self::Canned { .. } => None,
            Self::Custom(custom) => custom.source_ip,
        }
    }

    /// The exact bytes that are signed: compact JSON in the documented order.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(160);
        json.push_str(r#"{"Statement":[{"Resource":""#);
        push_escaped(&mut json, self.resource().as_str());
        let _ = write!(
            json,
            r#"","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}"#,
            self.expires().0
        );
        if let Self::Custom(custom) = self {
            if let Some(range) = custom.source_ip {
                let _ = write!(json, r#","IpAddress":{{"AWS:SourceIp":"{range}"}}"#);
            }
            if let Some(starts) = custom.starts {
                let _ = write!(json, r#","DateGreaterThan":{{"AWS:EpochTime":{}}}"#, starts.0);
            }
        }
        json.push_str("}}]}");
        json
    }
}

fn within_range(time: EpochSeconds) -> Result<(), StatementError> {
    if time > LAST_EXPIRY { Err(StatementError::TooLate(time.0)) } else { Ok(()) }
}

/// [`Resource`] has refused everything that JSON must escape; what is left is non-ASCII.
fn push_escaped(json: &mut String, text: &str) {
    let mut units = [0; 2];
    for character in text.chars() {
        if character.is_ascii() {
            json.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(json, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(text: &str) -> Resource {
        Resource::parse(text).unwrap()
    }

    #[test]
    fn canned_json_is_the_documented_bytes() {
        let url = resource("https://cdn.example.org/a/b.jpg?x=1&y=2");
        let policy = Policy::canned(url, EpochSeconds(1_767_290_400)).unwrap();
        assert_eq!(
            policy.to_json(),
            r#"{"Statement":[{"Resource":"https://cdn.example.org/a/b.jpg?x=1&y=2","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}"#
        );
    }

    #[test]
    fn custom_json_keeps_the_order_of_conditions() {
        let policy = Policy::custom(Custom {
            resource: resource("https://cdn.example.org/org1/*"),
            expires: EpochSeconds(1_767_290_400),
            starts: Some(EpochSeconds(1_767_286_800)),
            source_ip: Some("192.0.2.10/32".parse().unwrap()),
        })
        .unwrap();
        assert_eq!(
            policy.to_json(),
            concat!(
                r#"{"Statement":[{"Resource":"https://cdn.example.org/org1/*","Condition":{"#,
                r#""DateLessThan":{"AWS:EpochTime":1767290400},"#,
                r#""IpAddress":{"AWS:SourceIp":"192.0.2.10/32"},"#,
                r#""DateGreaterThan":{"AWS:EpochTime":1767286800}}}]}"#
            )
        );
    }

    #[test]
    fn non_ascii_is_escaped_as_utf_16() {
        let policy = Policy::canned(resource("https://h/é😀"), EpochSeconds(1)).unwrap();
        assert!(policy.to_json().contains(r"https://h/\u00e9\ud83d\ude00"));
    }

    #[test]
    fn canned_rejects_wildcards_and_milliseconds() {
        let star = resource("https://h/a/*");
        assert_eq!(
            Policy::canned(star.clone(), EpochSeconds(1)),
            Err(StatementError::WildcardInCanned(star))
        );
        let millis = EpochSeconds(1_767_290_400_000);
        assert_eq!(
            Policy::canned(resource("https://h/a"), millis),
            Err(StatementError::TooLate(millis.0))
        );
    }

    #[test]
    fn custom_rejects_a_window_that_never_opens() {
        let never = Custom {
            resource: resource("https://h/a/*"),
            expires: EpochSeconds(10),
            starts: Some(EpochSeconds(10)),
            source_ip: None,
        };
        assert!(matches!(Policy::custom(never), Err(StatementError::NeverOpen { .. })));
    }
}
