//! A custom policy read back from its JSON, as strictly as CloudFront documents it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::{Custom, Resource, ResourceError};
use crate::clock::EpochSeconds;
use crate::json::{self, Object};

/// The most JSON that is read as a policy, in bytes. A request's headers hold 20 KB in all.
const MAX_POLICY_BYTES: usize = 20_480;

/// Why CloudFront would answer `MalformedPolicy`.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Larger than any request that CloudFront accepts.
    #[error("the policy has {0} bytes, more than a request to CloudFront may hold")]
    TooLong(usize),
    /// Not JSON of the documented shape.
    #[error("the policy is not the JSON that CloudFront documents: {0}")]
    Json(#[from] serde_json::Error),
    /// None or several statements.
    #[error("a policy holds exactly one statement, this one {0}")]
    StatementCount(usize),
    /// A resource that cookies cannot use.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// An address that is not IPv4.
    #[error("AWS:SourceIp is {0:?}; CloudFront knows one IPv4 address or range")]
    SourceIp(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    #[serde(rename = "Statement")]
    statement: Vec<Object<RawStatement>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    #[serde(rename = "Resource")]
    resource: String,
    #[serde(rename = "Condition")]
    condition: Object<RawCondition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    #[serde(rename = "DateLessThan")]
    less_than: Object<RawTime>,
    #[serde(rename = "DateGreaterThan", default, deserialize_with = "json::present")]
    greater_than: Option<Object<RawTime>>,
    #[serde(rename = "IpAddress", default, deserialize_with = "json::present")]
    ip_address: Option<Object<RawAddress>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTime {
    #[serde(rename = "AWS:EpochTime")]
    epoch: EpochSeconds,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAddress {
    #[serde(rename = "AWS:SourceIp")]
    source_ip: String,
}

/// Reads the JSON of a custom policy.
///
/// # Errors
/// [`PolicyError`] names the first part that departs from the documented shape.
pub fn parse_custom(json: &[u8]) -> Result<Custom, PolicyError> {
    if json.len() > MAX_POLICY_BYTES {
        return Err(PolicyError::TooLong(json.len()));
    }
    let Object(mut raw) = serde_json::from_slice::<Object<RawPolicy>>(json)?;
    let count = raw.statement.len();
    let (Some(Object(RawStatement { resource, condition: Object(condition) })), 1) =
        (raw.statement.pop(), count)
    else {
        return Err(PolicyError::StatementCount(count));
    };
    let source_ip = condition.ip_address.map(|Object(raw)| parse_source_ip(&raw.source_ip));
    Ok(Custom {
        resource: Resource::parse(&resource)?,
        expires: condition.less_than.0.epoch,
        starts: condition.greater_than.map(|Object(time)| time.epoch),
        source_ip: source_ip.transpose()?,
    })
}

/// Reads an IPv4 address or range, in one spelling only: `ipnet` takes `010.0.0.1` for 10.0.0.1, which
/// others read as octal, 8.0.0.1.
///
/// # Errors
/// [`PolicyError::SourceIp`] for everything else.
pub fn parse_source_ip(text: &str) -> Result<Ipv4Net, PolicyError> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address = address.parse::<Ipv4Addr>().ok();
    let bits = length.parse::<u8>().ok().filter(|bits| bits.to_string() == length);
    address
        .zip(bits)
        .and_then(|(address, bits)| Ipv4Net::new(address, bits).ok())
        .ok_or_else(|| PolicyError::SourceIp(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    #[test]
    fn parse_reads_back_what_to_json_wrote() {
        let custom = Custom {
            resource: Resource::parse("https://h/é/*").unwrap(),
            expires: EpochSeconds(2_000_000_000),
            starts: Some(EpochSeconds(1_000_000_000)),
            source_ip: Some("203.0.113.0/24".parse().unwrap()),
        };
        let json = Policy::Custom(custom.clone()).to_json();
        assert_eq!(parse_custom(json.as_bytes()).unwrap(), custom);
    }

    #[test]
    fn parse_takes_one_spelling_of_an_address_only() {
        let parsed = |text| parse_source_ip(text).map(|range| range.to_string()).ok();
        assert_eq!(parsed("192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(parsed("192.0.2.0/24").as_deref(), Some("192.0.2.0/24"));
        for text in ["010.0.0.1", "010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/33", "/8"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn parse_rejects_what_cloudfront_does_not_document() {
        let condition = r#"{"DateLessThan":{"AWS:EpochTime":1}}"#;
        let statement = format!(r#"{{"Resource":"https://h/*","Condition":{condition}}}"#);
        let table = [
            String::new(),
            "[]".to_owned(),
            r#"{"Statement":[]}"#.to_owned(),
            format!(r#"{{"Statement":[{statement},{statement}]}}"#),
            format!(r#"{{"Statement":[{{"Condition":{condition}}}]}}"#),
            format!(r#"{{"Statement":[{{"Resource":"*","Condition":{condition}}}]}}"#),
            r#"{"Statement":[{"Resource":"https://h/*","Condition":{}}]}"#.to_owned(),
            format!(r#"{{"Statement":[{statement}],"Version":"2012"}}"#),
            format!(
                r#"{{"Statement":[{{"Resource":"https://a/","Resource":"https://h/*","Condition":{condition}}}]}}"#
            ),
            statement.replace(":1}", ":\"1\"}"),
            r#"{"Statement":[{"Resource":"https://h/*","Condition":{"DateLessThan":{"AWS:EpochTime":1},"IpAddress":{"AWS:SourceIp":"::1"}}}]}"#
                .to_owned(),
            r#"{"Statement":[["https://h/*",[[1],null,null]]]}"#.to_owned(),
            format!("[[{statement}]]"),
            statement.replace("}}", r#"},"IpAddress":null}"#),
            "x".repeat(MAX_POLICY_BYTES + 1),
        ];
        for json in table {
            assert!(parse_custom(json.as_bytes()).is_err(), "{json}");
        }
    }
}
