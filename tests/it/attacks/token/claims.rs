//! Cases 12 to 17: what a token must say, and for how long.

use serde_json::{Value, json};

use super::{Front, every_front};
use crate::attacks::forge::Forge;

/// Values that are nearly a right one.
fn nearly(right: &str) -> Vec<Value> {
    let all = [
        json!(""),
        json!("*"),
        json!("another"),
        json!(right[..right.len() - 1]),
        json!(format!("{right}0")),
        json!(format!("{right} ")),
        json!(format!(" {right}")),
        json!(format!("{right}\0")),
        json!(format!("{right}/")),
        json!(format!("{right}.evil.net")),
        json!(format!("{right},another")),
        json!(right.to_uppercase()),
        json!({right: right}),
        json!(1),
        json!(true),
        json!(null),
        json!([]),
        json!([[right]]),
        json!(["another"]),
    ];
    all.into_iter().filter(|value| *value != json!(right)).collect()
}

#[tokio::test]
async fn case_12_another_load_balancers_or_instances_signer_is_refused() {
    every_front(|case| {
        let front = case.front;
        if !front.is_of_aws() {
            return;
        }
        let header = front.header();
        let own = header["signer"].as_str().unwrap();
        let others = [
            own.replace("123456789012", "210987654321"),
            own.replace("us-east-1", "us-west-2"),
            own.replace("arn:aws:", "arn:aws-cn:"),
            own.replace('/', ":"),
            own.replace("arn:aws", "arn:aws*"),
            own.replace("0123456789abcdef", "fedcba9876543210"),
        ];
        let values = others.iter().map(|arn| json!(arn)).chain(nearly(own));
        for signer in values.chain([json!([own]), json!([others[0], own])]) {
            case.add(format!("signer {signer}"), front.header_with(&json!({"signer": signer})));
        }
        case.add("no signer", front.header_without("signer"));
        let mut payload = front.payload();
        payload["signer"] = json!(own);
        let mut header = front.header();
        header.as_object_mut().unwrap().remove("signer");
        case.add(
            "the signer in the payload",
            front.sign(&header.to_string(), &payload.to_string()),
        );
    })
    .await;
}

#[tokio::test]
async fn case_13_a_token_for_another_client_or_audience_is_refused() {
    every_front(|case| {
        let front = case.front;
        if front.is_alb() {
            let header = front.header();
            let own = header["client"].as_str().unwrap();
            for client in nearly(own).into_iter().chain([json!([own])]) {
                case.add(format!("client {client}"), front.header_with(&json!({"client": client})));
            }
            case.add("no client", front.header_without("client"));
        } else if front.is_access_token() {
            let payload = front.payload();
            let own = payload["client_id"].as_str().unwrap();
            for client in nearly(own).into_iter().chain([json!([own])]) {
                case.add(
                    format!("client_id {client}"),
                    front.payload_with(&json!({"client_id": client})),
                );
            }
            case.add("no client_id", front.payload_without("client_id"));
            for used in [json!("id"), json!(""), json!("Access"), json!(null), json!(["access"])] {
                case.add(
                    format!("token_use {used}"),
                    front.payload_with(&json!({"token_use": used})),
                );
            }
        } else if !front.is_of_aws() {
            let payload = front.payload();
            let own = payload["aud"][0].as_str().unwrap();
            for aud in nearly(own) {
                case.add(format!("aud {aud}"), front.payload_with(&json!({"aud": aud})));
            }
            case.add("no aud", front.payload_without("aud"));
            let header = {
                let mut header = front.header();
                header["aud"] = json!([own]);
                header
            };
            let mut bare = front.payload();
            bare.as_object_mut().unwrap().remove("aud");
            case.add("the aud in the header", front.sign(&header.to_string(), &bare.to_string()));
        }
        if front.is_id_token() {
            let aud = front.payload()["aud"][0].clone();
            case.add("azp of another", front.payload_with(&json!({"azp": "another"})));
            case.add(
                "two audiences and no azp",
                front.payload_with(&json!({"aud": [aud, "another"]})),
            );
        }
    })
    .await;
}

#[tokio::test]
async fn case_14_another_issuer_is_refused() {
    every_front(|case| {
        let front = case.front;
        let fields = if front.is_of_aws() { front.header() } else { front.payload() };
        let own = fields["iss"].as_str().unwrap().to_owned();
        for iss in nearly(&own).into_iter().chain([
            json!("https://evil.net"),
            json!([own]),
            json!(own.replace("https:", "http:")),
        ]) {
            if iss == json!(own) {
                continue;
            }
            case.add(format!("iss {iss}"), front.stamped(&json!({"iss": iss})));
            if front.is_of_aws() {
                case.add(
                    format!("iss {iss} in the header"),
                    front.header_with(&json!({"iss": iss})),
                );
                case.add(
                    format!("iss {iss} in the payload"),
                    front.payload_with(&json!({"iss": iss})),
                );
            }
        }
        let missing = if front.is_of_aws() {
            front.header_without("iss")
        } else {
            front.payload_without("iss")
        };
        case.add("no iss", missing);
    })
    .await;
}

/// A number as it stands in the JSON, for every `exp` of a token.
fn ending(front: Front<'_>, number: &str) -> String {
    let raw = |fields: Value| {
        let right = format!("\"exp\":{}", fields["exp"]);
        fields.to_string().replace(&right, &format!("\"exp\":{number}"))
    };
    front.sign(&raw(front.header()), &raw(front.payload()))
}

#[tokio::test]
async fn case_15_an_expired_token_or_an_expiry_that_is_none_is_refused() {
    every_front(|case| {
        let front = case.front;
        let now = front.now().0;
        for seconds in [30, 31, 3600, 10 * 365 * 24 * 3600] {
            case.add(format!("ended {seconds} s ago"), ending(front, &(now - seconds).to_string()));
        }
        let text = format!("\"{}\"", now + 60);
        for number in [
            "0",
            "-1",
            "-9223372036854775808",
            "1e400",
            "1e12",
            "true",
            "null",
            "[]",
            "{}",
            "\"\"",
            &text,
            "18446744073709551616",
            &format!("{}.5", now + 60),
            &format!("{}.0", now + 60),
            &format!("[{}]", now + 60),
            "\"never\"",
            "NaN",
            "Infinity",
            &format!("0x{:x}", now + 60),
        ] {
            case.add(format!("exp {number}"), ending(front, number));
        }
        if front.is_of_aws() {
            for other in [now + 61, now - 3600, now + 100_000] {
                case.add("another exp in the payload", front.payload_with(&json!({"exp": other})));
            }
        }
        if front.is_alb() {
            case.add("another exp in the header", front.header_with(&json!({"exp": now + 61})));
        }
    })
    .await;
}

/// So far away that sums would overflow: an end like any other, or none.
#[tokio::test]
async fn case_15_an_expiry_at_the_end_of_time_overflows_nothing() {
    let forge = Forge::new();
    for front in forge.fronts() {
        for number in ["9223372036854775807", "9223372036854775808", "18446744073709551615"] {
            if let Some(answer) = front.ask(&ending(front, number)).await {
                assert!([200, 401].contains(&answer.status.as_u16()), "{}: {number}", front.name());
                let body = answer.json();
                // Cookies live as long as the rule says, whatever the token.
                assert!(
                    body["expires_in"].as_u64().unwrap_or(0) <= 3600,
                    "{}: {body}",
                    front.name()
                );
            } else {
                let _ = front.judge(&ending(front, number));
            }
        }
    }
}

#[tokio::test]
async fn case_16_a_token_without_an_expiry_is_refused() {
    every_front(|case| {
        let front = case.front;
        let (mut header, mut payload) = (front.header(), front.payload());
        let place = if front.is_of_aws() { &mut header } else { &mut payload };
        place.as_object_mut().unwrap().remove("exp");
        case.add("no exp where it stands", front.sign(&header.to_string(), &payload.to_string()));
        let other = if front.is_of_aws() { &mut payload } else { &mut header };
        other["exp"] = json!(front.now().plus(60));
        case.add("exp at the other place", front.sign(&header.to_string(), &payload.to_string()));
        payload.as_object_mut().unwrap().remove("exp");
        header.as_object_mut().unwrap().remove("exp");
        case.add("no exp", front.sign(&header.to_string(), &payload.to_string()));
        payload["expires_in"] = json!(60);
        case.add("a life instead", front.sign(&header.to_string(), &payload.to_string()));
    })
    .await;
}

#[tokio::test]
async fn case_17_a_token_for_later_is_refused() {
    every_front(|case| {
        let front = case.front;
        let now = front.now();
        for name in ["nbf", "iat"] {
            for value in [
                json!(now.plus(31)),
                json!(now.plus(100_000)),
                json!(u64::MAX),
                json!(-1),
                json!(0.5),
                json!("0"),
                json!([0]),
                json!(true),
                json!(null),
            ] {
                case.add(format!("{name} {value}"), front.payload_with(&json!({name: value})));
            }
        }
    })
    .await;
}
