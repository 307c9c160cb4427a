//! The shapes of the fronts' tokens, as their vendors publish them.

use serde_json::{Value, json};

use crate::support::{NOW, person};

/// The form of one front's tokens, and what a site tells the service of it.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// The front's table.
    pub(super) table: &'static str,
    pub(super) alg: &'static str,
    pub(super) issuer: &'static str,
    /// The audience, or the signer.
    pub(super) made_for: &'static str,
    /// The client, where it is demanded.
    pub(super) client: Option<&'static str>,
    pub(super) padded: bool,
    pub(super) stamps_in_header: bool,
    pub(super) header: fn() -> Value,
    pub(super) payload: fn() -> Value,
}

const INSTANCE: &str =
    "arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-0123456789abcdef0";
const TAG: &str = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
const BACKEND: &str = "/projects/123456789012/global/backendServices/1234567890123456789";
const API: &str = "11111111-2222-3333-4444-555555555555";
const TENANT: &str = "https://login.microsoftonline.com/66666666-7777-8888-9999-000000000000/v2.0";

pub(super) static SHAPES: [Shape; 6] =
    [VERIFIED_ACCESS, CLOUDFLARE_ACCESS, GOOGLE_IAP, POMERIUM, ENTRA, KEYCLOAK];

/// Source: the AWS Verified Access User Guide, "User claims passing", with an `OpenID` Provider.
const VERIFIED_ACCESS: Shape = Shape {
    name: "Verified Access",
    table: r#"
[identity.verified_access]
region = "us-east-1"
signer = ["arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-0123456789abcdef0"]
issuer = "https://login.example.org"
"#,
    alg: "ES384",
    issuer: "https://login.example.org",
    made_for: INSTANCE,
    client: None,
    padded: true,
    stamps_in_header: true,
    header: || {
        json!({
            "alg": "ES384",
            "kid": "12345678-1234-1234-1234-123456789012",
            "signer": INSTANCE,
            "iss": "https://login.example.org",
            "exp": NOW.0 + 120,
        })
    },
    payload: || {
        json!({
            "sub": person("Ada").id,
            "email": "ada@lab-a.example",
            "email_verified": true,
            "groups": ["lab-a"],
            "additional_user_context": {
                "aud": "xxx", "exp": NOW.0 + 120, "groups": ["lab-a"], "iss": "https://login.example.org",
            },
            "iss": "https://login.example.org",
            "exp": NOW.0 + 120,
        })
    },
};

/// Source: Cloudflare One, "Application token".
const CLOUDFLARE_ACCESS: Shape = Shape {
    name: "Cloudflare Access",
    table: r#"
[identity.cloudflare_access]
team = "https://lab.cloudflareaccess.com"
audience = ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"]
groups = "custom.groups"
"#,
    alg: "RS256",
    issuer: "https://lab.cloudflareaccess.com",
    made_for: TAG,
    client: None,
    padded: false,
    stamps_in_header: false,
    header: || json!({"alg": "RS256", "kid": TAG, "typ": "JWT"}),
    payload: || {
        json!({
            "aud": [TAG],
            "email": "ada@lab-a.example",
            "exp": NOW.0 + 3600,
            "iat": NOW.0,
            "nbf": NOW.0,
            "iss": "https://lab.cloudflareaccess.com",
            "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF",
            "sub": person("Ada").id,
            "country": "US",
            "custom": {"groups": ["lab-a"]},
        })
    },
};

/// Source: Google Cloud, "Securing your app with signed headers".
const GOOGLE_IAP: Shape = Shape {
    name: "Google IAP",
    table: r#"
[identity.google_iap]
audience = ["/projects/123456789012/global/backendServices/1234567890123456789"]
"#,
    alg: "ES256",
    issuer: "https://cloud.google.com/iap",
    made_for: BACKEND,
    client: None,
    padded: false,
    stamps_in_header: false,
    header: || json!({"alg": "ES256", "typ": "JWT", "kid": "mpf0DA"}),
    payload: || {
        json!({
            "aud": BACKEND,
            "email": "ada@lab-a.example",
            "exp": NOW.0 + 600,
            "google": {"access_levels": ["accessPolicies/1/accessLevels/lab"]},
            "hd": "lab-a.example",
            "iat": NOW.0,
            "identity_source": "GOOGLE",
            "iss": "https://cloud.google.com/iap",
            "sub": "accounts.google.com:118133858486581853996",
        })
    },
};

/// Source: Pomerium, "Identity verification" and "JWT claims".
const POMERIUM: Shape = Shape {
    name: "Pomerium",
    table: r#"
[identity.pomerium]
issuer = "viewer.example.org"
audience = ["viewer.example.org"]
jwks_url = "https://viewer.example.org/.well-known/pomerium/jwks.json"
"#,
    alg: "ES256",
    issuer: "viewer.example.org",
    made_for: "viewer.example.org",
    client: None,
    padded: false,
    stamps_in_header: false,
    header: || {
        json!({
            "alg": "ES256",
            "kid": "ccc5bc9d835ff3c8f7075ed4a7510159cf440fd7bf7b517b5caeb1fa419ee6a1",
        })
    },
    payload: || {
        json!({
            "aud": "viewer.example.org",
            "email": "ada@lab-a.example",
            "exp": NOW.0 + 300,
            "groups": ["lab-a"],
            "iat": NOW.0,
            "iss": "viewer.example.org",
            "jti": "8f4a2b7e-0d8e-4a37-9f3c-5b0d6c1e2f3a",
            "name": "Ada",
            "sub": person("Ada").id,
            "user": person("Ada").id,
        })
    },
};

/// Source: the Microsoft identity platform, "Access token claims reference", version 2.0.
const ENTRA: Shape = Shape {
    name: "Entra",
    table: r#"
[[identity.bearer]]
issuer = "https://login.microsoftonline.com/66666666-7777-8888-9999-000000000000/v2.0"
jwks_url = "https://login.microsoftonline.com/66666666-7777-8888-9999-000000000000/discovery/v2.0/keys"
audience = ["11111111-2222-3333-4444-555555555555"]
groups = "groups"
"#,
    alg: "RS256",
    issuer: TENANT,
    made_for: API,
    client: None,
    padded: false,
    stamps_in_header: false,
    header: || json!({"typ": "JWT", "alg": "RS256", "kid": "1LTMzakihiRla_8z2BEJVXeWMqo"}),
    payload: || {
        json!({
            "aud": API,
            "iss": TENANT,
            "iat": NOW.0,
            "nbf": NOW.0,
            "exp": NOW.0 + 3600,
            "aio": "AXQAi/8IAAAA",
            "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "azpacr": "0",
            "groups": ["0e129f9f-1111-2222-3333-444444444444"],
            "name": "Ada",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "preferred_username": "ada@lab-a.example",
            "rh": "0.AAAA",
            "scp": "access_as_user",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": "66666666-7777-8888-9999-000000000000",
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
        })
    },
};

/// Source: the Keycloak Server Administration Guide, and the access tokens of a fresh realm.
const KEYCLOAK: Shape = Shape {
    name: "Keycloak",
    table: r#"
[[identity.bearer]]
issuer = "https://keycloak.example.org/realms/lab"
jwks_url = "https://keycloak.example.org/realms/lab/protocol/openid-connect/certs"
audience = ["account"]
client = ["viewer"]
groups = "realm_access.roles"
"#,
    alg: "RS256",
    issuer: "https://keycloak.example.org/realms/lab",
    made_for: "account",
    client: Some("viewer"),
    padded: false,
    stamps_in_header: false,
    header: || json!({"alg": "RS256", "typ": "JWT", "kid": "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE"}),
    payload: || {
        json!({
            "exp": NOW.0 + 300,
            "iat": NOW.0,
            "auth_time": NOW.0,
            "jti": "onrtac:4c0b0ba5-1d5e-4b5b-a9d3-1f7c8f0f9a55",
            "iss": "https://keycloak.example.org/realms/lab",
            "aud": "account",
            "sub": person("Ada").id,
            "typ": "Bearer",
            "azp": "viewer",
            "sid": "3b0c4b52-8fd5-4cf2-8d6c-8a4a9e7d7c2b",
            "acr": "1",
            "allowed-origins": ["https://viewer.example.org"],
            "realm_access": {"roles": ["lab-a", "offline_access"]},
            "resource_access": {"account": {"roles": ["view-profile"]}},
            "scope": "openid email profile",
            "email_verified": true,
            "preferred_username": "ada",
            "email": "ada@lab-a.example",
        })
    },
};
