mod claims;
mod keys;
mod people;
mod signature;

use axum::http::Method;
use serde_json::Value;

use super::forge::{Forge, Front};

/// What a case does to the tokens of one front.
struct Attack<'f> {
    front: Front<'f>,
    tokens: Vec<(String, String)>,
}

impl Attack<'_> {
    fn add(&mut self, what: impl Into<String>, token: String) {
        self.tokens.push((what.into(), token));
    }
}

/// Runs a case over every dialect, with a right token before and after.
async fn every_front(attack: impl Fn(&mut Attack<'_>)) {
    let forge = Forge::new();
    let mut tried = 0;
    for front in forge.fronts() {
        front.accepts("a right token", &front.good()).await;
        let mut case = Attack { front, tokens: Vec::new() };
        attack(&mut case);
        tried += case.tokens.len();
        for (what, token) in &case.tokens {
            front.refuses(what, token).await;
        }
        front.accepts("a right token, after the attack", &front.good()).await;
    }
    assert!(tried > 0, "a case without an attack");
}

/// An unsigned or badly signed header and payload.
fn forged(front: Front<'_>, header: &Value, signature: &str) -> String {
    format!("{}.{signature}", front.input(&header.to_string(), &front.payload().to_string()))
}

fn with(mut fields: Value, name: &str, value: Value) -> Value {
    fields[name] = value;
    fields
}

const POST: Method = Method::POST;
