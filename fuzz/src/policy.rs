//! The JSON of a custom policy.
//!
//! - An ordinary JSON reader reads the same policy.
//! - What is written is read back the same, and nothing leaves its JSON string.

use edgemint::policy::{Custom, Policy, parse_custom};
use serde_json::Value;

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(custom) = parse_custom(data) else { return false };
    let value: Value = serde_json::from_slice(data).unwrap();
    check_same(&custom, &value);
    assert_eq!(parse_custom(value.to_string().as_bytes()).unwrap(), custom);

    let written = Policy::Custom(custom.clone()).to_json();
    assert!(written.is_ascii() && !written.contains(char::is_whitespace), "{written}");
    check_same(&custom, &serde_json::from_str(&written).unwrap());
    assert_eq!(parse_custom(written.as_bytes()).unwrap(), custom);
    true
}

fn check_same(custom: &Custom, value: &Value) {
    let statements = value["Statement"].as_array().unwrap();
    assert_eq!((value.as_object().unwrap().len(), statements.len()), (1, 1));
    let statement = &statements[0];
    assert_eq!(statement["Resource"], custom.resource.as_str());
    let condition = &statement["Condition"];
    let time = |name: &str| condition[name]["AWS:EpochTime"].as_u64();
    assert_eq!(time("DateLessThan"), Some(custom.expires.0));
    assert_eq!(time("DateGreaterThan"), custom.starts.map(|starts| starts.0));
    let source = condition["IpAddress"]["AWS:SourceIp"].as_str();
    let source = source.map(|text| text.trim_end_matches("/32").to_owned());
    let expected = custom.source_ip.map(|net| net.to_string().trim_end_matches("/32").to_owned());
    assert_eq!(source, expected);
}
