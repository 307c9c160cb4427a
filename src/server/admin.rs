//! `/metrics`, on a listener that people's requests do not reach.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::state::AppState;
use super::{Stopping, accept};

/// Serves the metrics until the service stops.
pub(super) async fn serve(
    listener: TcpListener,
    state: AppState,
    stopping: watch::Receiver<Stopping>,
) {
    let router = Router::new().route("/metrics", get(metrics)).with_state(state.clone());
    let router = TowerToHyperService::new(router);
    let answer = move |request, _| {
        let answering = router.call(request);
        async move { answering.await.unwrap_or_else(|impossible| match impossible {}) }
    };
    accept::serve_with(listener, answer, state, stopping).await;
}

async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics_text())
}
