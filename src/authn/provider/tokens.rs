//! The token endpoint: a code, or a refresh token, for tokens (RFC 6749 sections 4.1.3 and 6).

use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId,
    ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::super::{FetchError, Fetcher, Sending};
use super::document::Document;
use super::error::{DOCUMENT, ProviderError, TOKENS};
use crate::config::{ClientAuthentication, Provider};
use crate::cookies::Attempt;
use crate::secret::Secret;

/// The ID token as it came: `identity` alone reads it.
#[derive(Debug, Deserialize, Serialize)]
struct IdToken {
    id_token: Option<Secret>,
}

impl ExtraTokenFields for IdToken {}

type Answer = StandardTokenResponse<IdToken, BasicTokenType>;

type Endpoint = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What the token endpoint gave.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) id: Option<Secret>,
    pub(super) refresh: Option<Secret>,
    pub(super) access: AccessToken,
}

/// One provider's endpoints, and the client that this service is there.
pub(super) struct TokenClient(Endpoint);

impl TokenClient {
    pub(super) fn new(
        provider: &Provider,
        document: &Document,
        secret: Option<&Secret>,
        redirect_uri: &str,
    ) -> Result<Self, ProviderError> {
        let wrong = |error: url::ParseError| ProviderError::Unusable {
            what: DOCUMENT,
            reason: error.to_string(),
        };
        let mut endpoint = Client::new(ClientId::new(provider.client.clone()))
            .set_auth_uri(AuthUrl::from_url(document.authorization.clone()))
            .set_token_uri(TokenUrl::from_url(document.token.clone()))
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(wrong)?);
        if let Some(secret) = secret {
            let way = match secret_goes(provider, document)? {
                ClientAuthentication::Basic => AuthType::BasicAuth,
                ClientAuthentication::Post => AuthType::RequestBody,
            };
            endpoint = endpoint
                .set_client_secret(ClientSecret::new(secret.expose().to_owned()))
                .set_auth_type(way);
        }
        Ok(Self(endpoint))
    }

    /// Where the browser goes to sign in.
    pub(super) fn authorization_url(&self, provider: &Provider, attempt: &Attempt) -> Url {
        let verifier = PkceCodeVerifier::new(attempt.verifier.expose().to_owned());
        let state = CsrfToken::new(attempt.state.expose().to_owned());
        let request = self
            .0
            .authorize_url(|| state)
            .add_scopes(provider.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("nonce", attempt.nonce.expose());
        let parameters = provider.parameters.iter();
        let request = parameters.fold(request, |request, (name, value)| {
            request.add_extra_param(name.as_str(), value.as_str())
        });
        request.url().0
    }

    pub(super) async fn trade_code(
        &self,
        fetcher: &dyn Fetcher,
        code: &str,
        verifier: &Secret,
    ) -> Result<Tokens, ProviderError> {
        self.0
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()))
            .request_async(&Http(fetcher))
            .await
            .map(|answer| Tokens::of(&answer))
            .map_err(|error| refused(&error, ProviderError::Code))
    }

    pub(super) async fn refresh(
        &self,
        fetcher: &dyn Fetcher,
        token: &Secret,
    ) -> Result<Tokens, ProviderError> {
        self.0
            .exchange_refresh_token(&RefreshToken::new(token.expose().to_owned()))
            .request_async(&Http(fetcher))
            .await
            .map(|answer| Tokens::of(&answer))
            .map_err(|error| refused(&error, ProviderError::Ended))
    }
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        Self {
            refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
            access: answer.access_token().clone(),
            id: answer.extra_fields().id_token.clone(),
        }
    }
}

/// How the client's secret is sent to a provider.
pub(super) fn secret_goes(
    provider: &Provider,
    document: &Document,
) -> Result<ClientAuthentication, ProviderError> {
    let offered = (document.secret_in_header, document.secret_in_body);
    match (provider.authentication, offered) {
        (Some(way), _) => Ok(way),
        (None, (true, _)) => Ok(ClientAuthentication::Basic),
        (None, (false, true)) => Ok(ClientAuthentication::Post),
        (None, (false, false)) => {
            let reason =
                "it takes secrets neither by client_secret_basic nor by client_secret_post";
            Err(ProviderError::Unusable { what: TOKENS, reason: reason.to_owned() })
        }
    }
}

struct Http<'f>(&'f dyn Fetcher);

/// Only an answer to the question itself is read; anything else is an outage.
impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = FetchError;
    type Future = Sending<'c>;

    fn call(&'c self, request: HttpRequest) -> Sending<'c> {
        Box::pin(async move {
            let answer = self.0.send(request).await?;
            match answer.status().as_u16() {
                200 | 400 | 401 | 403 => Ok(answer),
                status => Err(FetchError::Status(status)),
            }
        })
    }
}

fn refused(
    error: &RequestTokenError<FetchError, BasicErrorResponse>,
    invalid_grant: ProviderError,
) -> ProviderError {
    match error {
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            BasicErrorResponseType::InvalidGrant => invalid_grant,
            other => ProviderError::Refused(other.as_ref().chars().take(100).collect()),
        },
        RequestTokenError::Request(error) => ProviderError::sending(TOKENS, error),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderError::Answer,
    }
}
