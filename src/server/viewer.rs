//! Everything else: the viewer bundle, with cookies on its pages.

use axum::Extension;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::error::ServeError;
use super::request::{Peer, RequestId};
use super::session::{Asked, with_lines};
use super::state::AppState;
use crate::bundle::{Outcome, RequestParts, respond};

/// Answers a file of the bundle. Pages carry cookies as the ledger asks; scripts and images never do,
/// so that they can be cached.
pub(super) async fn serve(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
) -> Response {
    let snapshot = state.snapshot();
    let asked =
        Asked { state: &state, snapshot: &snapshot, headers: &parts.headers, id: &id, peer };
    let Some(bundle) = &snapshot.bundle else {
        return ServeError::NotFound.into_answer(&parts.headers, &id);
    };
    let outcome = respond(bundle, &RequestParts::from(&parts));
    match outcome {
        Outcome::NotFound => ServeError::NotFound.into_answer(&parts.headers, &id),
        Outcome::MethodNotAllowed => {
            ServeError::Method("GET, HEAD").into_answer(&parts.headers, &id)
        }
        _ if outcome.is_html() => page(&asked, outcome).await,
        _ => outcome.into_response(),
    }
}

async fn page(asked: &Asked<'_>, outcome: Outcome<'_>) -> Response {
    let lines = match asked.lines_for_page().await {
        Ok(lines) => lines,
        Err(error) => {
            super::record::refused(asked.id, None, &error, None);
            return error.into_answer(asked.headers, asked.id);
        }
    };
    let mut response = outcome.into_response();
    if let Some(lines) = lines {
        // A conditional answer is for a page that may be kept; this one is one person's.
        if response.status() != StatusCode::NOT_MODIFIED || !lines.is_empty() {
            let value = HeaderValue::from_static("no-store, private");
            response.headers_mut().insert(header::CACHE_CONTROL, value);
        }
        response = with_lines(response, &lines);
    }
    response
}
