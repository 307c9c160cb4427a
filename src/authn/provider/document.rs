//! A provider's discovery document (`OpenID` Connect Discovery section 3).

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, EndSessionUrl, LogoutProviderMetadata, ProviderMetadata,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::Provider;

/// What RFC 9207 and RFC 8414 add.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Additions {
    authorization_response_iss_parameter_supported: Option<bool>,
    revocation_endpoint: Option<Url>,
}

impl AdditionalProviderMetadata for Additions {}

type Metadata = ProviderMetadata<
    LogoutProviderMetadata<Additions>,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// A discovery document, checked.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) issuer: String,
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) keys: Url,
    /// Where people sign out; and the type that the request is made of.
    pub(super) end_session: Option<EndSessionUrl>,
    /// Where tokens are revoked (RFC 7009).
    pub(super) revocation: Option<Url>,
    /// Whether the client's secret may be sent in a header.
    pub(super) secret_in_header: bool,
    /// Whether it may be sent in the body.
    pub(super) secret_in_body: bool,
    /// Whether every answer to a sign-in names its issuer.
    pub(super) names_issuer: bool,
}

/// Why a discovery document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentError {
    /// Not JSON of the right shape.
    #[error("it is no discovery document: {0}")]
    Malformed(String),
    /// Another provider's.
    #[error(
        "it names another issuer than the configured one; they must be the same, letter by letter"
    )]
    Issuer,
    /// An endpoint where none may be.
    #[error("its {0} is not at an https URL of a host by name")]
    Endpoint(&'static str),
    /// An endpoint that is needed.
    #[error("it names no {0}")]
    Missing(&'static str),
}

impl Document {
    pub(super) fn parse(bytes: &[u8], provider: &Provider) -> Result<Self, DocumentError> {
        let metadata: Metadata = serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::Malformed(error.to_string()))?;
        if metadata.issuer().as_str() != provider.issuer {
            return Err(DocumentError::Issuer);
        }
        let check = |name, url: &Url| {
            let usable = provider.may_be_at(url);
            if usable { Ok(url.clone()) } else { Err(DocumentError::Endpoint(name)) }
        };
        let logout = metadata.additional_metadata();
        let end_session = logout.end_session_endpoint.clone();
        if let Some(url) = &end_session {
            check("end_session_endpoint", url.url())?;
        }
        let token = metadata.token_endpoint().ok_or(DocumentError::Missing("token_endpoint"))?;
        let userinfo =
            metadata.userinfo_endpoint().map(|url| check("userinfo_endpoint", url.url()));
        let userinfo = userinfo.transpose()?;
        let revocation = logout.additional_metadata.revocation_endpoint.as_ref();
        let revocation = revocation.map(|url| check("revocation_endpoint", url)).transpose()?;
        let methods = metadata.token_endpoint_auth_methods_supported();
        // The default of `OpenID` Connect Discovery section 3.
        let takes = |method, default| methods.map_or(default, |methods| methods.contains(&method));
        Ok(Self {
            issuer: provider.issuer.clone(),
            authorization: check(
                "authorization_endpoint",
                metadata.authorization_endpoint().url(),
            )?,
            token: check("token_endpoint", token.url())?,
            userinfo,
            secret_in_header: takes(CoreClientAuthMethod::ClientSecretBasic, true),
            secret_in_body: takes(CoreClientAuthMethod::ClientSecretPost, false),
            keys: check("jwks_uri", metadata.jwks_uri().url())?,
            end_session,
            revocation,
            names_issuer: logout.additional_metadata.authorization_response_iss_parameter_supported
                == Some(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::testing::provider;

    fn document() -> Value {
        json!({
            "issuer": "https://idp.example.org",
            "authorization_endpoint": "https://idp.example.org/authorize",
            "token_endpoint": "https://idp.example.org/token",
            "jwks_uri": "https://keys.example.net/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    fn parse(document: &Value) -> Result<Document, DocumentError> {
        Document::parse(document.to_string().as_bytes(), &provider())
    }

    #[test]
    fn a_document_of_the_least_is_enough() {
        let read = parse(&document()).unwrap();
        assert_eq!(read.token.as_str(), "https://idp.example.org/token");
        assert!(read.end_session.is_none() && read.revocation.is_none() && !read.names_issuer);
        assert!(read.secret_in_header && !read.secret_in_body);
    }

    #[test]
    fn another_issuers_document_is_refused() {
        for issuer in ["https://idp.example.org/", "https://evil.net", "http://idp.example.org"] {
            let mut document = document();
            document["issuer"] = json!(issuer);
            assert_eq!(parse(&document).unwrap_err(), DocumentError::Issuer, "{issuer}");
        }
    }

    #[test]
    fn endpoints_are_https_at_hosts_by_name() {
        for endpoint in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "end_session_endpoint",
            "revocation_endpoint",
        ] {
            for url in [
                "http://idp.example.org/x",
                "https://169.254.169.254/x",
                "http://169.254.169.254/latest/meta-data",
                "http://127.0.0.1/x",
                "file:///etc/passwd",
                "https://user:secret@idp.example.org/x",
            ] {
                let mut document = document();
                document[endpoint] = json!(url);
                assert!(parse(&document).is_err(), "{endpoint} {url}");
            }
        }
        assert!(matches!(parse(&json!([])).unwrap_err(), DocumentError::Malformed(_)));
    }
}
