//! Right and wrong tokens of every dialect, at one site that believes them all.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use edgemint::authn::Fetcher;
use edgemint::clock::{Clock as _, EpochSeconds};
use edgemint::demo::tokens::{AccessTokenFacts, ClaimsHeader};
use edgemint::identity::dialect::{
    BEARER, CLOUDFLARE_ACCESS, Dialect, GOOGLE_IAP, ID_TOKEN, Keys, POMERIUM, VERIFIED_ACCESS,
};
use edgemint::identity::keys::{Algorithm, Jwks};
use edgemint::identity::signed::{self, Expected, MadeFor};
use edgemint::server::AppState;
use serde_json::{Value, json};

use super::{Log, refused, unlimited};
use crate::minter::{Minter, site};
use crate::support::{ARN, Answer, App, CLIENT, CONFIG, ISSUER, NOW, bare, claims_of, person};

/// The fronts of the table that come in a header.
const IN_HEADERS: [&Dialect; 5] =
    [&VERIFIED_ACCESS, &CLOUDFLARE_ACCESS, &GOOGLE_IAP, &POMERIUM, &BEARER];

/// A site that believes every front, and the key of each.
pub(super) struct Forge {
    pub(super) app: App,
    pub(super) log: Log,
    minters: Vec<Minter>,
    /// Our own sign-in's tokens come from the provider, and in no header.
    id_tokens: Minter,
}

/// One dialect.
#[derive(Clone, Copy)]
pub(super) struct Front<'f> {
    pub(super) forge: &'f Forge,
    kind: Kind<'f>,
}

#[derive(Clone, Copy)]
enum Kind<'f> {
    /// The load balancer's claims, beside a right access token.
    Alb,
    /// An access token, beside right claims of the load balancer's.
    AccessToken,
    Signed(&'f Minter),
    IdToken(&'f Minter),
}

impl Forge {
    pub(super) fn new() -> Self {
        let table = |dialect: &Dialect| {
            let pinned = if *dialect == VERIFIED_ACCESS {
                "\nissuer = \"https://login.example.org\""
            } else {
                ""
            };
            format!("{}{pinned}\n\n", site(dialect).table)
        };
        let tables: String = IN_HEADERS.into_iter().map(table).collect();
        let config = CONFIG.replacen("[[distribution]]", &format!("{tables}[[distribution]]"), 1);
        let app = unlimited(&config);
        let minters: Vec<Minter> = IN_HEADERS.into_iter().map(Minter::new).collect();
        for minter in &minters {
            app.source.serve(site(minter.dialect).keys, &minter.published());
        }
        Self { app, log: Log::start(), minters, id_tokens: Minter::new(&ID_TOKEN) }
    }

    pub(super) fn fronts(&self) -> Vec<Front<'_>> {
        let signed = self.minters.iter().map(Kind::Signed);
        let kinds = [Kind::Alb, Kind::AccessToken]
            .into_iter()
            .chain(signed)
            .chain([Kind::IdToken(&self.id_tokens)]);
        kinds.map(|kind| Front { forge: self, kind }).collect()
    }

    /// How many fronts come in a header; they are the first ones.
    pub(super) const IN_HEADERS: usize = IN_HEADERS.len() + 2;

    /// Starts the service anew, which then knows no key yet.
    pub(super) fn restart(&mut self) {
        let App { state, folder, clock, source, .. } = &mut self.app;
        let snapshot = App::load(folder).unwrap();
        let fetcher: Arc<dyn Fetcher> = source.clone();
        *state = AppState::new(snapshot, clock.clone(), &fetcher);
    }

    /// How often any key was fetched.
    pub(super) fn fetches(&self) -> usize {
        self.app.source.fetches.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl Front<'_> {
    pub(super) fn name(&self) -> String {
        match self.kind {
            Kind::Alb => "alb".to_owned(),
            Kind::AccessToken => "alb's access token".to_owned(),
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.dialect.front.to_string(),
        }
    }

    /// The row of the table.
    pub(super) fn dialect(&self) -> &'static Dialect {
        match self.kind {
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.dialect,
            Kind::Alb | Kind::AccessToken => panic!("{} is no row", self.name()),
        }
    }

    pub(super) fn now(&self) -> EpochSeconds {
        self.forge.app.clock.now()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self.kind {
            Kind::Alb => Algorithm::Es256,
            Kind::AccessToken => Algorithm::Rs256,
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.algorithm(),
        }
    }

    /// Whether `signer`, `iss` and `exp` stand in the header, and the padding is kept.
    pub(super) fn is_of_aws(&self) -> bool {
        matches!(self.kind, Kind::Alb)
            || matches!(self.kind, Kind::Signed(minter) if minter.dialect.keys == Keys::PemPerKid)
    }

    pub(super) fn is_alb(&self) -> bool {
        matches!(self.kind, Kind::Alb)
    }

    pub(super) fn is_access_token(&self) -> bool {
        matches!(self.kind, Kind::AccessToken)
    }

    pub(super) fn is_id_token(&self) -> bool {
        matches!(self.kind, Kind::IdToken(_))
    }

    /// The header that carries it.
    pub(super) fn carrier(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Alb => Some("x-amzn-oidc-data"),
            Kind::AccessToken => Some("x-amzn-oidc-accesstoken"),
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.dialect.header,
        }
    }

    /// Where its keys are; for those of one key a file, that of the right key.
    pub(super) fn key_url(&self) -> String {
        match self.kind {
            Kind::Alb => {
                let kid = self.forge.app.claims.kid();
                format!("https://public-keys.auth.elb.us-east-1.amazonaws.com/{kid}")
            }
            Kind::AccessToken => format!("{ISSUER}/.well-known/jwks.json"),
            Kind::Signed(minter) | Kind::IdToken(minter) => site(minter.dialect).keys.to_owned(),
        }
    }

    /// What stands there.
    pub(super) fn published(&self) -> String {
        match self.kind {
            Kind::Alb => self.forge.app.claims.public_key_pem().to_owned(),
            Kind::AccessToken => self.forge.app.access.jwks_json(),
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.published(),
        }
    }

    /// A right token's header.
    pub(super) fn header(&self) -> Value {
        match self.kind {
            Kind::Alb => json!({
                "typ": "JWT", "kid": self.forge.app.claims.kid(), "alg": "ES256", "iss": ISSUER,
                "client": CLIENT, "signer": ARN, "exp": self.now().plus(120),
            }),
            Kind::AccessToken => json!({"kid": self.forge.app.access.kid(), "alg": "RS256"}),
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.header(self.now()),
        }
    }

    /// A right token's payload.
    pub(super) fn payload(&self) -> Value {
        let now = self.now();
        match self.kind {
            Kind::Alb => {
                let mut payload = Value::Object(claims_of(person("Ada")));
                payload["exp"] = json!(now.plus(120));
                payload["iss"] = json!(ISSUER);
                payload
            }
            Kind::AccessToken => json!({
                "sub": person("Ada").id, "iss": ISSUER, "client_id": CLIENT, "token_use": "access",
                "iat": now, "exp": now.plus(3600), "cognito:groups": ["lab-a"],
            }),
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.payload(now),
        }
    }

    /// A genuine signature over any header and payload.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        match self.kind {
            Kind::Alb => self.forge.app.claims.sign_segments(header, payload).unwrap(),
            Kind::AccessToken => self.forge.app.access.sign_segments(header, payload).unwrap(),
            Kind::Signed(minter) | Kind::IdToken(minter) => minter.sign(header, payload),
        }
    }

    pub(super) fn good(&self) -> String {
        self.sign(&self.header().to_string(), &self.payload().to_string())
    }

    /// A genuine signature over another header.
    pub(super) fn raw_header(&self, header: &str) -> String {
        self.sign(header, &self.payload().to_string())
    }

    /// A genuine signature over another payload.
    pub(super) fn raw_payload(&self, payload: &str) -> String {
        self.sign(&self.header().to_string(), payload)
    }

    pub(super) fn header_with(&self, changes: &Value) -> String {
        self.raw_header(&merged(self.header(), changes))
    }

    pub(super) fn payload_with(&self, changes: &Value) -> String {
        self.raw_payload(&merged(self.payload(), changes))
    }

    /// The same fields in the header and in the payload, where the header of a right token has them.
    pub(super) fn stamped(&self, changes: &Value) -> String {
        let header = if self.is_of_aws() {
            merged(self.header(), changes)
        } else {
            self.header().to_string()
        };
        let payload = if self.is_of_aws() && !self.is_alb() {
            self.payload().to_string()
        } else {
            merged(self.payload(), changes)
        };
        self.sign(&header, &payload)
    }

    pub(super) fn header_without(&self, name: &str) -> String {
        self.raw_header(&without(self.header(), name))
    }

    pub(super) fn payload_without(&self, name: &str) -> String {
        self.raw_payload(&without(self.payload(), name))
    }

    /// Encodes as the dialect does, for tokens that no key signs.
    pub(super) fn encode(&self, bytes: impl AsRef<[u8]>) -> String {
        if self.is_of_aws() { URL_SAFE.encode(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) }
    }

    /// The two segments before a signature.
    pub(super) fn input(&self, header: &str, payload: &str) -> String {
        format!("{}.{}", self.encode(header), self.encode(payload))
    }

    /// The token with another signature.
    pub(super) fn resigned(&self, token: &str, signature: impl AsRef<[u8]>) -> String {
        let (input, _) = token.rsplit_once('.').unwrap();
        format!("{input}.{}", self.encode(signature))
    }

    pub(super) fn signature(token: &str) -> Vec<u8> {
        let (_, signature) = token.rsplit_once('.').unwrap();
        URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).unwrap()
    }

    /// The headers of a request that carries a token; `None` where it comes in no header, or holds what
    /// no header can.
    pub(super) fn carried(&self, token: &str) -> Option<Vec<(&'static str, String)>> {
        let carrier = self.carrier()?;
        HeaderValue::from_str(token).ok()?;
        let app = &self.forge.app;
        let scheme = if carrier == "authorization" { "Bearer " } else { "" };
        let own = (carrier, format!("{scheme}{token}"));
        Some(match self.kind {
            Kind::Alb => vec![own, ("x-amzn-oidc-accesstoken", app.access_token(person("Ada")))],
            Kind::AccessToken => vec![own, ("x-amzn-oidc-data", app.claims_token(person("Ada")))],
            Kind::Signed(_) | Kind::IdToken(_) => vec![own],
        })
    }

    pub(super) fn request(headers: &[(&str, String)]) -> Request<Body> {
        let request = headers
            .iter()
            .fold(bare(Method::POST, "/session/cookies"), |request, (name, value)| {
                request.header(*name, value)
            });
        request.body(Body::empty()).unwrap()
    }

    pub(super) async fn ask(&self, token: &str) -> Option<Answer> {
        Some(self.forge.app.send(Self::request(&self.carried(token)?)).await)
    }

    /// What our own sign-in says to a token from the provider.
    pub(super) fn judge(&self, token: &str) -> Result<String, String> {
        let Kind::IdToken(minter) = self.kind else { panic!("{} comes in a header", self.name()) };
        let expected = Expected {
            dialect: &ID_TOKEN,
            issuer: Some(site(&ID_TOKEN).issuer.to_owned()),
            made_for: MadeFor::Us { client: site(&ID_TOKEN).audience.to_owned(), nonce: None },
            token_use: None,
            groups: None,
            verified_email_domains: Vec::new(),
        };
        let keys = Jwks::parse(minter.published().as_bytes()).unwrap();
        let now = self.now();
        let kid = signed::key_id(token, &expected, now).map_err(|error| error.to_string())?;
        let key = keys.get(&kid).ok_or("unknown key")?;
        let identity =
            signed::verify(token, key, &expected, now).map_err(|error| error.to_string())?;
        Ok(identity.subject.to_string())
    }

    /// The control: a token that is right.
    pub(super) async fn accepts(&self, what: &str, token: &str) {
        let name = self.name();
        match self.ask(token).await {
            Some(answer) => assert_eq!(answer.status, 200, "{name}: {what}: {}", answer.text()),
            None => assert_eq!(self.judge(token).err(), None, "{name}: {what}"),
        }
    }

    /// The attack: refused, with a reason in the record and no part of the token.
    pub(super) async fn refuses(&self, what: &str, token: &str) {
        let what = format!("{}: {what}", self.name());
        let Some(headers) = self.carried(token) else {
            // What no header can hold never arrives.
            let error =
                if self.is_id_token() { self.judge(token).err() } else { Some(String::new()) };
            let error = error.unwrap_or_else(|| panic!("{what}: accepted"));
            assert!(
                !token.split('.').any(|part| part.len() > 11 && error.contains(part)),
                "{what}: {error}"
            );
            return;
        };
        let secrets: Vec<&str> = token.split('.').collect();
        let (app, log) = (&self.forge.app, &self.forge.log);
        let answer = refused(app, log, &what, Self::request(&headers), 401, &secrets).await;
        assert_eq!(answer.json()["type"], "urn:edgemint:problem:credential-refused", "{what}");
    }
}

fn merged(mut fields: Value, changes: &Value) -> String {
    for (name, value) in changes.as_object().into_iter().flatten() {
        fields[name] = value.clone();
    }
    fields.to_string()
}

fn without(mut fields: Value, name: &str) -> String {
    fields.as_object_mut().unwrap().remove(name);
    fields.to_string()
}

/// The site's time, for tokens that are minted by hand.
pub(super) fn claims_at(app: &App, subject: &str, email: &Value, verified: &Value) -> String {
    let header = ClaimsHeader {
        signer: ARN,
        client: CLIENT,
        issuer: ISSUER,
        expires: app.clock.now().plus(120),
    };
    let claims = json!({"sub": subject, "email": email, "email_verified": verified});
    app.claims.mint(&header, claims.as_object().unwrap()).unwrap()
}

/// An access token of somebody's.
pub(super) fn access_of(app: &App, name: &str) -> String {
    let issued = NOW;
    let facts = AccessTokenFacts {
        issuer: ISSUER,
        client: CLIENT,
        scope: "",
        issued,
        expires: issued.plus(3600),
    };
    app.access.mint(person(name), &facts).unwrap()
}
