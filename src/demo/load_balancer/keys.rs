//! The service that tells everybody a load balancer's public keys: one PEM per `kid`.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::super::listener::LoopbackListener;
use super::super::tokens::ClaimsSigner;

/// Serves `GET /<kid>` for a few load balancers until `shutdown` is over, as
/// `public-keys.auth.elb.REGION.amazonaws.com` does for all of AWS.
///
/// # Errors
/// Whatever ends the listener.
pub async fn serve_public_keys(
    listener: LoopbackListener,
    signers: Vec<Arc<ClaimsSigner>>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new().route("/{kid}", get(show)).with_state(Arc::new(signers));
    listener.serve(router, shutdown).await
}

async fn show(
    State(signers): State<Arc<Vec<Arc<ClaimsSigner>>>>,
    Path(kid): Path<String>,
) -> Response {
    match signers.iter().find(|signer| signer.kid() == kid) {
        Some(signer) => {
            ([(CONTENT_TYPE, "text/plain")], signer.public_key_pem().to_owned()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
