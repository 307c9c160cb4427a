//! What both peers are given: a rule, a thousand people who are signed in, and everybody's keys.

use std::fs;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use edgemint::clock::{Clock as _, SystemClock};
use edgemint::demo::LoopbackListener;
use edgemint::demo::load_balancer::serve_public_keys;
use edgemint::demo::people::Person;
use edgemint::demo::tokens::{AccessTokenFacts, AccessTokenSigner, ClaimsHeader, ClaimsSigner};
use edgemint::identity::Subject;
use edgemint::keystore::Folder;
use edgemint::signing::{KeyKind, PrivateKey, generate_pem};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// An account that AWS gives to nobody.
pub(crate) const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/bench/0000000000000000";
pub(crate) const CLIENT: &str = "edgemintbench";
pub(crate) const KEY_PAIR_ID: &str = "K2BENCH";

/// How many people ask in turn, so that no token is in a cache for having just been there.
const PEOPLE: usize = 1000;

/// How long tokens last, in seconds: longer than the run.
const TOKEN_LIFE: u64 = 3600;

/// The host of the data, and one object.
pub(crate) const DATA: &str = "http://data.edgemint.localhost";
pub(crate) const OBJECT: &str = "http://data.edgemint.localhost/lab-a/0/0/0";

/// What one person's requests carry.
pub(crate) struct Tokens {
    pub(crate) subject: Subject,
    pub(crate) claims: String,
    pub(crate) access: String,
}

pub(crate) struct Site {
    folder: TempDir,
    key_pem: String,
    pub(crate) issuer: String,
    pub(crate) claims: Arc<ClaimsSigner>,
    pub(crate) access: AccessTokenSigner,
    pub(crate) tokens: Vec<Tokens>,
    claims_keys: SocketAddr,
    pub(crate) runtime: Runtime,
}

impl Site {
    /// Makes keys and tokens, writes them down for the peers, and serves the public keys.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let claims = Arc::new(ClaimsSigner::generate()?);
        let access = AccessTokenSigner::generate()?;
        let claims_keys = runtime.block_on(serve_claims_keys(claims.clone()))?;
        let issuer = runtime.block_on(serve_jwks(access.jwks_json()))?;
        let tokens = mint(&claims, &access, &issuer)?;
        let key_pem = generate_pem(KeyKind::Rsa)?.to_string();
        let folder = tempfile::tempdir()?;
        let site = Self { folder, key_pem, issuer, claims, access, tokens, claims_keys, runtime };
        site.write()?;
        Ok(site)
    }

    /// The private key that signs policies.
    pub(crate) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file that tells the peer everything.
    pub(crate) fn description(&self) -> PathBuf {
        self.path("site.json")
    }

    /// One person per line: claims, a space, access token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.path("tokens")
    }

    /// The public half of the signing key.
    pub(crate) fn public_key(&self) -> PathBuf {
        self.path("public.pem")
    }

    /// Writes a configuration of edgemint's for a port.
    pub(crate) fn configure(&self, port: u16, share: bool) -> anyhow::Result<PathBuf> {
        let file = self.path(&format!("{port}.toml"));
        let (issuer, keys) = (&self.issuer, self.claims_keys);
        let text = format!(
            r#"
listen = "127.0.0.1:{port}"
public_url = "http://viewer.edgemint.localhost:{port}"
[identity.alb]
region = "us-east-1"
signer = ["{ARN}"]
client = "{CLIENT}"
public_key_url = "http://{keys}/{{kid}}"
groups = {{ issuer = "{issuer}" }}
[[distribution]]
host = "{DATA}"
[[rule]]
name = "lab-a"
allow = {{ groups = ["lab-a"] }}
resources = ["{DATA}/lab-a/*"]
share = {share}
[keys]
source = "dir:keys"
[limits]
asks_per_minute_per_subject = 0
asks_per_minute_per_address = 0
[log]
format = "json"
"#
        );
        fs::write(&file, text)?;
        Ok(file)
    }

    fn write(&self) -> anyhow::Result<()> {
        Folder::new(self.path("keys")).import(
            &KEY_PAIR_ID.parse()?,
            &self.key_pem,
            SystemClock.now(),
        )?;
        let public = PrivateKey::from_pem(&self.key_pem)?.public().to_pem()?;
        fs::write(self.public_key(), public)?;
        let lines = self.tokens.iter().map(|one| format!("{} {}\n", one.claims, one.access));
        fs::write(self.token_file(), lines.collect::<String>())?;
        let description = json!({
            "alb_arn": ARN,
            "client": CLIENT,
            "issuer": self.issuer,
            "claims_key": { "kid": self.claims.kid(), "pem": self.claims.public_key_pem() },
            "jwks": serde_json::from_str::<Value>(&self.access.jwks_json())?,
            "key_pem": self.key_pem,
            "key_pair_id": KEY_PAIR_ID,
            "cookie_domain": "edgemint.localhost",
            "rules": [{
                "group": "lab-a",
                "resource": format!("{DATA}/lab-a/*"),
                "path": "/lab-a/",
                "lifetime": 3600,
            }],
            "tokens": self.token_file(),
        });
        fs::write(self.description(), description.to_string())?;
        Ok(())
    }
}

async fn serve_claims_keys(signer: Arc<ClaimsSigner>) -> anyhow::Result<SocketAddr> {
    let listener = LoopbackListener::bind(0).await?;
    let address = listener.address();
    tokio::spawn(serve_public_keys(listener, vec![signer], pending()));
    Ok(address)
}

/// Returns the issuer whose keys these are.
async fn serve_jwks(jwks: String) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let issuer = format!("http://{}/pool", listener.local_addr()?);
    let router = Router::new().route("/pool/.well-known/jwks.json", get(async move || jwks));
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(issuer)
}

fn mint(
    claims: &ClaimsSigner,
    access: &AccessTokenSigner,
    issuer: &str,
) -> anyhow::Result<Vec<Tokens>> {
    let now = SystemClock.now();
    let expires = now.plus(TOKEN_LIFE);
    let header = ClaimsHeader { signer: ARN, client: CLIENT, issuer, expires };
    let facts = AccessTokenFacts { issuer, client: CLIENT, scope: "openid", issued: now, expires };
    let one = |n: usize| {
        let person = person(n);
        let userinfo = Map::from_iter([
            ("sub".to_owned(), json!(person.id)),
            ("email".to_owned(), json!(person.email)),
            ("email_verified".to_owned(), json!("true")),
            ("username".to_owned(), json!(person.id)),
        ]);
        Ok(Tokens {
            subject: Subject::parse(person.id)?,
            claims: claims.mint(&header, &userinfo)?,
            access: access.mint(&person, &facts)?,
        })
    };
    (0..PEOPLE).map(one).collect()
}

/// Lives for as long as the run does, as the stand-ins' people do.
fn person(n: usize) -> Person {
    let kept = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    Person {
        id: kept(format!("0f8fad5b-d9cb-469f-a165-{n:012x}")),
        name: "",
        email: kept(format!("person-{n}@lab-a.example")),
        email_verified: true,
        groups: &["lab-a"],
    }
}
