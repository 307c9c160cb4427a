//! Mints tokens in the dialect of any signed front, right ones and wrong ones.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use edgemint::clock::EpochSeconds;
use edgemint::identity::dialect::{
    BEARER, CLOUDFLARE_ACCESS, Dialect, GOOGLE_IAP, ID_TOKEN, Keys, POMERIUM, VERIFIED_ACCESS,
};
use edgemint::identity::keys::Algorithm;
use serde_json::{Value, json};

/// The name of every minter's key, a UUID since some dialects want one.
pub(crate) const KID: &str = "5a1d7d0b-7f0e-4d7a-9a39-0a4a8f1b2c3d";

pub(crate) const INSTANCE: &str =
    "arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-0123456789abcdef0";

/// Configuration, issuer and place of the keys, as the site of the tests has them for a front.
pub(crate) struct Site {
    pub(crate) table: &'static str,
    pub(crate) issuer: &'static str,
    pub(crate) audience: &'static str,
    pub(crate) keys: &'static str,
}

/// What a site's configuration says of a front.
pub(crate) fn site(dialect: &Dialect) -> Site {
    let of = |table, issuer, audience, keys| Site { table, issuer, audience, keys };
    match dialect {
        dialect if *dialect == VERIFIED_ACCESS => of(
            "[identity.verified_access]\nregion = \"us-east-1\"\n\
             signer = [\"arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-0123456789abcdef0\"]",
            "https://login.example.org",
            "",
            "https://public-keys.prod.verified-access.us-east-1.amazonaws.com/\
             5a1d7d0b-7f0e-4d7a-9a39-0a4a8f1b2c3d",
        ),
        dialect if *dialect == CLOUDFLARE_ACCESS => of(
            "[identity.cloudflare_access]\nteam = \"https://lab.cloudflareaccess.com\"\n\
             audience = [\"4714c1358e65fe4b\"]\ngroups = \"custom.groups\"",
            "https://lab.cloudflareaccess.com",
            "4714c1358e65fe4b",
            "https://lab.cloudflareaccess.com/cdn-cgi/access/certs",
        ),
        dialect if *dialect == GOOGLE_IAP => of(
            "[identity.google_iap]\naudience = [\"/projects/1/global/backendServices/2\"]\n\
             groups = \"gcip.groups\"",
            "https://cloud.google.com/iap",
            "/projects/1/global/backendServices/2",
            "https://www.gstatic.com/iap/verify/public_key-jwk",
        ),
        dialect if *dialect == POMERIUM => of(
            "[identity.pomerium]\nissuer = \"viewer.example.org\"\naudience = [\"viewer.example.org\"]\n\
             jwks_url = \"https://viewer.example.org/.well-known/pomerium/jwks.json\"",
            "viewer.example.org",
            "viewer.example.org",
            "https://viewer.example.org/.well-known/pomerium/jwks.json",
        ),
        dialect if *dialect == BEARER => of(
            "[[identity.bearer]]\nissuer = \"https://login.example.org\"\naudience = [\"api://edgemint\"]\n\
             jwks_url = \"https://login.example.org/keys\"\ngroups = \"groups\"",
            "https://login.example.org",
            "api://edgemint",
            "https://login.example.org/keys",
        ),
        dialect if *dialect == ID_TOKEN => {
            of("", "https://login.example.org", "edgemint", "https://login.example.org/keys")
        }
        other => panic!("no site for {other:?}"),
    }
}

/// One key, and the dialect that it signs in.
pub(crate) struct Minter {
    pub(crate) dialect: &'static Dialect,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(Algorithm, EcdsaKeyPair),
}

impl Minter {
    /// With a fresh key of the first algorithm that the dialect allows.
    pub(crate) fn new(dialect: &'static Dialect) -> Self {
        Self::with(dialect, dialect.algorithms[0])
    }

    pub(crate) fn with(dialect: &'static Dialect, algorithm: Algorithm) -> Self {
        let signing = match algorithm {
            Algorithm::Rs256 => {
                return Self {
                    dialect,
                    key: Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
                };
            }
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        Self { dialect, key: Key::Ec(algorithm, EcdsaKeyPair::generate(signing).unwrap()) }
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        match &self.key {
            Key::Rsa(_) => Algorithm::Rs256,
            Key::Ec(algorithm, _) => *algorithm,
        }
    }

    /// What the front publishes: a PEM file or a JWKS.
    pub(crate) fn published(&self) -> String {
        match self.dialect.keys {
            Keys::PemPerKid => self.pem(),
            Keys::Jwks => json!({"keys": [self.jwk()]}).to_string(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match &self.key {
            Key::Rsa(key) => key.public_key().as_der().unwrap(),
            Key::Ec(_, key) => key.public_key().as_der().unwrap(),
        };
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    pub(crate) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.key {
            Key::Rsa(key) => json!({
                "kty": "RSA", "kid": KID, "alg": "RS256", "use": "sig",
                "n": text(key.public_key().modulus().big_endian_without_leading_zero()),
                "e": text(key.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Key::Ec(algorithm, key) => {
                let (x, y) = key.public_key().as_ref()[1..]
                    .split_at(if *algorithm == Algorithm::Es256 { 32 } else { 48 });
                let crv = if *algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": KID, "crv": crv, "x": text(x), "y": text(y)})
            }
        }
    }

    /// The header of a right token.
    pub(crate) fn header(&self, now: EpochSeconds) -> Value {
        let mut header = json!({"alg": self.algorithm().name(), "kid": KID});
        if *self.dialect == VERIFIED_ACCESS {
            header["signer"] = json!(INSTANCE);
            header["iss"] = json!(site(self.dialect).issuer);
            header["exp"] = json!(now.plus(120));
        } else {
            header["typ"] = json!("JWT");
        }
        header
    }

    /// The payload of a right token, of Ada of lab-a.
    pub(crate) fn payload(&self, now: EpochSeconds) -> Value {
        let groups = json!(["lab-a"]);
        let mut payload = json!({
            "sub": "ada", "email": "ada@lab-a.example.org", "email_verified": true,
            "groups": groups, "custom": {"groups": groups}, "gcip": {"groups": groups},
        });
        if *self.dialect != VERIFIED_ACCESS {
            let Site { issuer, audience, .. } = site(self.dialect);
            payload["iss"] = json!(issuer);
            payload["aud"] = json!([audience]);
            payload["iat"] = json!(now.minus(5));
            payload["exp"] = json!(now.plus(300));
        }
        payload
    }

    /// A right token.
    pub(crate) fn mint(&self, now: EpochSeconds) -> String {
        self.sign(&self.header(now).to_string(), &self.payload(now).to_string())
    }

    /// A token with other claims than a right one; `null` takes a claim away.
    pub(crate) fn mint_with(&self, now: EpochSeconds, header: &Value, payload: &Value) -> String {
        let merged = |mut right: Value, other: &Value| {
            for (name, value) in other.as_object().into_iter().flatten() {
                match value {
                    Value::Null => drop(right.as_object_mut().unwrap().remove(name)),
                    value => right[name] = value.clone(),
                }
            }
            right.to_string()
        };
        self.sign(&merged(self.header(now), header), &merged(self.payload(now), payload))
    }

    /// Signs any header and payload; Verified Access keeps its padding.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        let encode = |bytes: &[u8]| {
            if *self.dialect == VERIFIED_ACCESS {
                URL_SAFE.encode(bytes)
            } else {
                URL_SAFE_NO_PAD.encode(bytes)
            }
        };
        let input = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        let signature = self.signature(input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    pub(crate) fn signature(&self, input: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).unwrap();
                signature
            }
            Key::Ec(_, key) => key.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec(),
        }
    }

    /// The header of a request that carries a token.
    pub(crate) fn carried(&self, token: &str) -> (&'static str, String) {
        let name = self.dialect.header.unwrap();
        let value =
            if *self.dialect == BEARER { format!("Bearer {token}") } else { token.to_owned() };
        (name, value)
    }
}
