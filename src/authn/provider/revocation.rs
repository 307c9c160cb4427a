//! Revocation (RFC 7009): after its person has signed out, a refresh token is worth nothing, wherever a copy
//! of it is.

use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::super::FetchError;
use super::Providers;
use super::error::{ProviderError, REVOCATION};
use super::tokens::secret_goes;
use crate::config::{ClientAuthentication, Provider};
use crate::cookies::LoginSession;
use crate::secret::Secret;

/// How the client proves who it is.
type Proof<'a> = Option<(ClientAuthentication, &'a Secret)>;

impl Providers {
    /// Revokes a session's refresh token, if it has one and its provider revokes any.
    ///
    /// # Errors
    /// [`ProviderError`] when the provider has not said that the token is revoked.
    pub async fn revoke(
        &self,
        provider: &Provider,
        secret: Option<&Secret>,
        session: &LoginSession,
    ) -> Result<(), ProviderError> {
        let Some(token) = &session.refresh_token else { return Ok(()) };
        let document = self.document(provider).await?;
        let Some(url) = &document.revocation else { return Ok(()) };
        if provider.secret.is_some() && secret.is_none() {
            return Err(ProviderError::NoSecret);
        }
        let _place = self.admit().ok_or_else(ProviderError::crowded)?;
        // The ways of the token endpoint: few providers name others for this one.
        let way = secret.map(|_| secret_goes(provider, &document)).transpose()?;
        let request = request(url, &provider.client, way.zip(secret), token)?;
        let answer = self.fetcher().send(request).await;
        let status = answer.map(|answer| answer.status().as_u16());
        match status {
            Ok(200) => Ok(()),
            Ok(status) => Err(ProviderError::sending(REVOCATION, &FetchError::Status(status))),
            Err(error) => Err(ProviderError::sending(REVOCATION, &error)),
        }
    }
}

/// RFC 7009 section 2.1; the secret as in RFC 6749 section 2.3.1.
fn request(
    url: &Url,
    client: &str,
    proof: Proof<'_>,
    token: &Secret,
) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token.expose()).append_pair("token_type_hint", "refresh_token");
    let mut request = Request::post(url.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    match proof {
        Some((ClientAuthentication::Basic, secret)) => {
            request = request.header(header::AUTHORIZATION, basic(client, secret));
        }
        Some((ClientAuthentication::Post, secret)) => {
            form.append_pair("client_id", client).append_pair("client_secret", secret.expose());
        }
        None => {
            form.append_pair("client_id", client);
        }
    }
    request.body(form.finish().into_bytes()).map_err(|_| ProviderError::Answer)
}

fn basic(client: &str, secret: &Secret) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(client), encode(secret.expose()))))
}
