//! AWS's own verifier judges tokens beside ours, and `jose` those of other vendors' fronts.
//!
//! Every token of the tables has two expected verdicts, ours and that of `aws-jwt-verify`. A table
//! can say that both accept, that both refuse, or that AWS accepts what we refuse, and why. It
//! cannot say the opposite: what AWS refuses, we refuse. Two exceptions decide nothing: claims nested so
//! deep that its parser gives up (tested on their own), and `aud`, `scope` or `jti` of an odd type,
//! which AWS checks although it was not asked about them and which we do not read at all.
//!
//! AWS's verifier allows for no difference of clocks and we allow for [`CLOCK_SKEW_SECONDS`], so in
//! the cases about time it gets a time that is as much earlier or later. `jose` is told to allow for
//! the same as we do.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use edgemint::identity::CLOCK_SKEW_SECONDS;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::NOW;
use crate::tools::Tool;

/// Access tokens of a Cognito user pool.
mod access;
/// The claims that a load balancer signs.
mod claims;
/// The tokens of all other fronts.
mod fronts;
/// What they look like.
mod shapes;

const EARLIER: u64 = NOW.0 - CLOCK_SKEW_SECONDS;
const LATER: u64 = NOW.0 + CLOCK_SKEW_SECONDS;
const END: u64 = NOW.0 + 120;

const LAST_NAME_WINS: &str = "of two fields of one name, JavaScript takes the last";
const NO_CRIT: &str = "it ignores crit";
const ANY_NUMBER: &str = "any finite number is a time for it";

/// A token and what is expected of it.
struct Case {
    name: String,
    token: String,
    we_accept: bool,
    aws_accepts: bool,
    /// Why AWS accepts what we refuse.
    why: &'static str,
    /// The time at AWS.
    aws_now: u64,
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn accept(&mut self, name: impl Into<String>, token: String) -> &mut Case {
        self.push(name.into(), token, true, "")
    }

    fn refuse(&mut self, name: impl Into<String>, token: String) -> &mut Case {
        self.push(name.into(), token, false, "")
    }

    /// AWS accepts what we refuse.
    fn stricter(&mut self, name: impl Into<String>, token: String, why: &'static str) -> &mut Case {
        self.push(name.into(), token, false, why)
    }

    fn push(
        &mut self,
        name: String,
        token: String,
        we_accept: bool,
        why: &'static str,
    ) -> &mut Case {
        let aws_accepts = we_accept || !why.is_empty();
        self.0.push(Case { name, token, we_accept, aws_accepts, why, aws_now: NOW.0 });
        self.0.last_mut().unwrap()
    }

    /// Asks both and lists every verdict that is not the expected one.
    fn judge(
        &self,
        ours: impl Fn(&str) -> Result<String, String>,
        request: impl Fn(&Case) -> Value,
    ) {
        self.judge_by("alb_verify.mjs", ours, request);
    }

    fn judge_by(
        &self,
        tool: &'static str,
        ours: impl Fn(&str) -> Result<String, String>,
        request: impl Fn(&Case) -> Value,
    ) {
        let requests: Vec<Value> = self.0.iter().map(request).collect();
        let answers: Vec<Verdict> = Tool::node(tool).ask_all(&requests);
        let surprises: Vec<String> = self
            .0
            .iter()
            .zip(&answers)
            .filter_map(|(case, answer)| surprise(case, &ours(&case.token), answer))
            .collect();
        let count = self.0.len();
        assert!(surprises.is_empty(), "of {count} tokens:\n{}", surprises.join("\n"));
    }
}

/// What AWS says. Of the payload only this is read, since a token may hold what no parser takes.
#[derive(Debug, Deserialize)]
struct Verdict {
    ok: bool,
    error: Option<String>,
    payload: Option<Payload>,
}

#[derive(Debug, Deserialize)]
struct Payload {
    sub: Option<Value>,
}

fn surprise(case: &Case, ours: &Result<String, String>, aws: &Verdict) -> Option<String> {
    let Case { name, we_accept, aws_accepts, why, .. } = case;
    if ours.is_ok() != *we_accept || aws.ok != *aws_accepts {
        return Some(format!(
            "{name}: we {ours:?}, expected to accept: {we_accept}; \
             AWS {:?}, expected to accept: {aws_accepts}; {why}",
            aws.error
        ));
    }
    let theirs = aws.payload.as_ref().and_then(|payload| payload.sub.as_ref());
    let differ = ours.as_ref().is_ok_and(|ours| theirs.is_none_or(|theirs| theirs != ours));
    differ.then(|| format!("{name}: we read {ours:?}, AWS {theirs:?}"))
}

/// Replaces fields; the order of the fields does not matter here.
fn with(base: &Value, changes: Value) -> String {
    let (mut fields, Value::Object(changes)) = (base.clone(), changes) else { unreachable!() };
    fields.as_object_mut().unwrap().extend(changes);
    fields.to_string()
}

fn without(base: &Value, name: &str) -> String {
    let mut fields = base.clone();
    assert!(fields.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    fields.to_string()
}

fn each(values: Value) -> Vec<Value> {
    let Value::Array(values) = values else { unreachable!() };
    values
}

/// Puts raw text behind the last field, where a second value of one name can stand.
fn and(base: &Value, raw: &str) -> String {
    let text = base.to_string();
    format!("{},{raw}}}", text.strip_suffix('}').unwrap())
}

/// Puts raw text before the first field.
fn before(base: &Value, raw: &str) -> String {
    format!("{{{raw},{}", base.to_string().strip_prefix('{').unwrap())
}

/// Replaces the signature.
fn resigned(token: &str, signature: &[u8]) -> String {
    let (input, _) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", URL_SAFE.encode(signature))
}

fn signature_of(token: &str) -> Vec<u8> {
    let (_, signature) = token.rsplit_once('.').unwrap();
    URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).unwrap()
}

/// Signs with a text that everybody has as the secret.
fn mac(input: &str, secret: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{input}.{}", URL_SAFE.encode(hmac::sign(&key, input.as_bytes())))
}

/// Sets unused bits of the last character, which lenient decoders drop.
fn with_trailing_bits(token: &str) -> String {
    with_last_character(token, 1)
}

/// Changes bits of the last character that every decoder reads.
fn with_last_bits(token: &str) -> String {
    with_last_character(token, 16)
}

fn with_last_character(token: &str, more: usize) -> String {
    let unpadded = token.trim_end_matches('=');
    let (rest, last) = unpadded.split_at(unpadded.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = (alphabet.find(last).unwrap() + more) % 64;
    format!("{rest}{}{}", &alphabet[value..=value], &token[unpadded.len()..])
}

/// The values of some fields as a JSON list, `null` for those that are absent.
fn listed(base: &Value, names: &[&str]) -> String {
    json!(names.iter().map(|name| &base[*name]).collect::<Vec<_>>()).to_string()
}

/// Changes each byte in the seven ways that leave it ASCII.
fn for_each_change(good: &str, refused: impl Fn(&str) -> bool) {
    for at in 0..good.len() {
        for bit in 0..7 {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let token = String::from_utf8(bytes).unwrap();
            assert!(refused(&token), "bit {bit} of byte {at}: {token}");
        }
    }
}
