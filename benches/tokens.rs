//! Tokens verified per second on one core, beside `aws-jwt-verify` in one Node.js process.

use std::time::Duration;

use anyhow::Context as _;
use edgemint::clock::{Clock as _, SystemClock};
use edgemint::identity::ClaimPath;
use edgemint::identity::access_token;
use edgemint::identity::alb;
use edgemint::identity::keys::{Algorithm, Jwks, VerificationKey};

use crate::node::TokenVerifier;
use crate::report::Report;
use crate::samples::{ROUNDS, Samples, per_second};
use crate::site::{ARN, CLIENT, Site};

const ROUND: Duration = Duration::from_secs(1);

/// Per round two kinds of tokens on two sides.
pub(crate) const SECONDS: u64 = ROUNDS as u64 * 4 + 2;

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let verifiers = Verifiers::of(site)?;
    let mut node = TokenVerifier::start(site)?;
    let [mut claims, mut claims_node, mut access, mut access_node] =
        [(); 4].map(|()| Samples::default());
    for kind in ["claims", "access_token"] {
        node.per_second(kind, 0.5)?;
    }
    for round in 1..=ROUNDS {
        report.progress(&format!("verifying tokens on one core, round {round} of {ROUNDS}"));
        claims.add(verifiers.claims_per_second()?);
        claims_node.add(node.per_second("claims", ROUND.as_secs_f64())?);
        access.add(verifiers.access_per_second()?);
        access_node.add(node.per_second("access_token", ROUND.as_secs_f64())?);
    }
    let row = |name: &str, ours: &Samples, node: &Samples| {
        vec![name.to_owned(), ours.show(), node.show(), ours.over(node).show()]
    };
    report.say("### Verifying tokens, one core, tokens per second");
    report.table(
        &["", "edgemint", "`aws-jwt-verify`", "ratio"],
        &[
            row("load balancer's claims, ES256", &claims, &claims_node),
            row("Cognito access token, RS256", &access, &access_node),
        ],
    );
    Ok(())
}

struct Verifiers<'a> {
    site: &'a Site,
    key: VerificationKey,
    jwks: Jwks,
    expected: alb::Expected,
    expected_access: access_token::Expected,
}

impl<'a> Verifiers<'a> {
    fn of(site: &'a Site) -> anyhow::Result<Self> {
        let verifiers = Self {
            site,
            key: VerificationKey::from_pem(Algorithm::Es256, site.claims.public_key_pem())?,
            jwks: Jwks::parse(site.access.jwks_json().as_bytes())?,
            expected: alb::Expected {
                signers: vec![ARN.to_owned()],
                client: CLIENT.to_owned(),
                issuer: Some(site.issuer.clone()),
                groups_claim: None,
            },
            expected_access: access_token::Expected {
                issuer: site.issuer.clone(),
                client: CLIENT.to_owned(),
                groups_claim: ClaimPath::parse("cognito:groups"),
            },
        };
        for at in 0..site.tokens.len() {
            verifiers.claims(at).context("a token of our own is refused")?;
            verifiers.access(at).context("a token of our own is refused")?;
        }
        Ok(verifiers)
    }

    fn claims(&self, at: usize) -> Result<alb::Claims, edgemint::identity::TokenError> {
        alb::verify(&self.site.tokens[at].claims, &self.key, &self.expected, SystemClock.now())
    }

    fn access(&self, at: usize) -> anyhow::Result<Vec<String>> {
        let tokens = &self.site.tokens[at];
        let kid = access_token::key_id(&tokens.access)?;
        let key = self.jwks.get(&kid).context("no key")?;
        let now = SystemClock.now();
        Ok(access_token::verify(&tokens.access, key, &self.expected_access, &tokens.subject, now)?)
    }

    fn claims_per_second(&self) -> anyhow::Result<f64> {
        per_second(ROUND, |n| self.claims(n % self.site.tokens.len()).is_ok())
    }

    fn access_per_second(&self) -> anyhow::Result<f64> {
        per_second(ROUND, |n| self.access(n % self.site.tokens.len()).is_ok())
    }
}
