//! Everything else: the viewer bundles, with cookies on their pages.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use super::asked::Asked;
use super::error::{ServeError, append};
use super::state::everyone_has_arrived;
use crate::bundle::{Outcome, Place, RequestParts, respond};

/// Answers a file of the bundle. Pages carry cookies as the ledger asks; scripts and images never do,
/// so that they can be cached.
pub(super) async fn serve(asked: Asked, uri: &Uri) -> Response {
    let refuse = |error: ServeError| error.into_answer(asked.reader(), &asked.id);
    if let Some(path) = data_path(&asked, uri.path()) {
        return refuse(ServeError::DataHere(path));
    }
    let host = asked.public_url().host();
    let (bundle, path) = match asked.snapshot.bundles.find(host, uri.path()) {
        Some(Place::Within(bundle, path)) => (bundle, path),
        Some(Place::Slash(path)) => return onward(path, uri.query()),
        Some(Place::Unread) => return refuse(ServeError::BundleUnread),
        None => return refuse(ServeError::NotFound),
    };
    let request = RequestParts { method: &asked.method, path, headers: &asked.headers };
    let outcome = respond(bundle, &request);
    match outcome {
        Outcome::NotFound => refuse(ServeError::NotFound),
        Outcome::MethodNotAllowed => refuse(ServeError::Method("GET, HEAD")),
        _ => {
            let html = outcome.is_html();
            match outcome.answer(asked.state.reads()).await {
                Ok(answer) if html => page(&asked, answer).await,
                Ok(answer) => answer,
                Err(gone) => refuse(gone.into()),
            }
        }
    }
}

/// What data lie under at this host, if that is where a path leads: CloudFront sends it to the bucket, so
/// whatever arrives here lacks its behavior.
fn data_path(asked: &Asked, path: &str) -> Option<String> {
    let distributions = asked.snapshot.config.distributions.iter();
    let mut here = distributions.filter(|one| one.is_at(asked.public_url()));
    let leads_in =
        |prefix: &str| path.starts_with(prefix) || prefix.strip_suffix('/') == Some(path);
    here.find(|one| leads_in(one.path.as_str())).map(|one| one.path.to_string())
}

/// To a bundle's own path with its last slash. Browsers keep the fragment.
fn onward(path: &str, query: Option<&str>) -> Response {
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let location = HeaderValue::try_from(format!("{path}{query}"));
    let location = location.unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
}

async fn page(asked: &Asked, mut response: Response) -> Response {
    if !asked.may_carry_lines() {
        return response;
    }
    everyone_has_arrived().await;
    let lines = match asked.lines_for_page().await {
        Ok(lines) => lines,
        Err(error) => {
            asked.refuse(None, &error);
            // The viewer is public: what cannot be judged just now costs the cookies, not the page.
            if !error.is_outage_of_sign_in() {
                return error.into_answer(asked.reader(), &asked.id);
            }
            None
        }
    };
    if let Some(lines) = lines {
        // A conditional answer is for a page that may be kept; this one is one person's.
        if response.status() != StatusCode::NOT_MODIFIED || !lines.is_empty() {
            let value = HeaderValue::from_static("no-store, private");
            response.headers_mut().insert(header::CACHE_CONTROL, value);
        }
        append(response.headers_mut(), &lines);
    }
    response
}
