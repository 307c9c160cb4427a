use super::*;
use crate::demo::people::PEOPLE;
use crate::identity::keys::{Algorithm, Jwks, VerificationKey};
use crate::identity::{ClaimPath, Subject, access_token, alb};

const NOW: EpochSeconds = EpochSeconds(1_800_000_000);
const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/demo/0123456789abcdef";
const ISSUER: &str = "http://127.0.0.1:1/us-east-1_DEMO";

fn expected() -> alb::Expected {
    alb::Expected {
        signers: vec![ARN.to_owned()],
        client: "client".to_owned(),
        issuer: Some(ISSUER.to_owned()),
        groups_claim: Some(ClaimPath::parse("cognito:groups")),
    }
}

fn mint(signer: &ClaimsSigner) -> String {
    let header =
        ClaimsHeader { signer: ARN, client: "client", issuer: ISSUER, expires: NOW.plus(120) };
    let Value::Object(userinfo) = json!({
        "sub": PEOPLE[0].id,
        "email": PEOPLE[0].email,
        "email_verified": "true",
        "name": PEOPLE[0].name,
    }) else {
        unreachable!()
    };
    signer.mint(&header, &userinfo).unwrap()
}

#[test]
fn claims_are_padded_and_their_header_is_in_aws_order() {
    let signer = ClaimsSigner::generate().unwrap();
    let token = mint(&signer);
    let segments: Vec<&str> = token.split('.').collect();
    assert_eq!(segments.len(), 3);
    assert!(segments.iter().all(|segment| segment.len() % 4 == 0), "{token}");
    assert!(segments[2].ends_with("=="), "64 bytes of signature need two pads: {token}");

    let header = String::from_utf8(URL_SAFE.decode(segments[0]).unwrap()).unwrap();
    let places: Vec<usize> = ["typ", "kid", "alg", "iss", "client", "signer", "exp"]
        .iter()
        .map(|field| header.find(&format!("\"{field}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{header}");
    let fields: Map<String, Value> = serde_json::from_str(&header).unwrap();
    assert_eq!(fields.len(), 7);
    assert!(fields["exp"].is_u64());

    let payload: Map<String, Value> =
        serde_json::from_slice(&URL_SAFE.decode(segments[1]).unwrap()).unwrap();
    let names: Vec<&str> = payload.keys().map(String::as_str).collect();
    assert_eq!(names, ["email", "email_verified", "exp", "iss", "name", "sub"]);
}

#[test]
fn claims_pass_the_verifier_and_hold_no_groups() {
    let signer = ClaimsSigner::generate().unwrap();
    let token = mint(&signer);
    let key = VerificationKey::from_pem(Algorithm::Es256, signer.public_key_pem()).unwrap();
    assert_eq!(alb::key_id(&token, &expected(), NOW).unwrap().as_str(), signer.kid());
    let claims = alb::verify(&token, &key, &expected(), NOW).unwrap();
    assert_eq!(claims.subject.as_str(), PEOPLE[0].id);
    assert!(claims.email.unwrap().verified);
    assert!(claims.groups.is_empty());

    let other = ClaimsSigner::generate().unwrap();
    let key = VerificationKey::from_pem(Algorithm::Es256, other.public_key_pem()).unwrap();
    assert!(alb::verify(&token, &key, &expected(), NOW).is_err());
}

#[test]
fn access_tokens_pass_the_verifier_and_hold_the_groups() {
    let signer = AccessTokenSigner::generate().unwrap();
    let jwks = Jwks::parse(signer.jwks_json().as_bytes()).unwrap();
    let key = jwks.get(signer.kid()).unwrap();
    let expected = access_token::Expected {
        issuer: ISSUER.to_owned(),
        client: "client".to_owned(),
        groups_claim: ClaimPath::parse("cognito:groups"),
    };
    let facts = AccessTokenFacts {
        issuer: ISSUER,
        client: "client",
        scope: "openid email profile",
        issued: NOW,
        expires: NOW.plus(3600),
    };
    for person in &PEOPLE {
        let token = signer.mint(person, &facts).unwrap();
        assert!(!token.contains('='));
        assert_eq!(access_token::key_id(&token).unwrap(), signer.kid());
        let subject = Subject::parse(person.id).unwrap();
        let groups = access_token::verify(&token, key, &expected, &subject, NOW).unwrap();
        assert_eq!(groups, person.groups);
        assert_eq!(signer.subject_of(&token, NOW).as_deref(), Some(person.id));
        assert_eq!(signer.subject_of(&token, NOW.plus(3600)), None);
        assert_eq!(signer.subject_of(&format!("{token}A"), NOW), None);
    }
}

#[test]
fn forged_segments_are_signed_as_they_stand() {
    let signer = ClaimsSigner::generate().unwrap();
    let token = signer.sign_segments(r#"{"alg":"none"}"#, "not even JSON").unwrap();
    let payload = token.split('.').nth(1).unwrap();
    assert_eq!(URL_SAFE.decode(payload).unwrap(), b"not even JSON");
}
