//! Between AWS's clients and an AWS: counts the calls, and answers some of them itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What becomes of one call.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It is answered like this, and nothing is done.
    Answer(u16, String),
    /// It is done, and the answer is lost on the way.
    Lose,
    /// Nobody answers.
    Silence,
}

impl Act {
    /// An error as AWS's JSON services give it.
    pub(crate) fn error(code: &str, message: &str) -> Self {
        Self::Answer(400, json!({"__type": code, "message": message}).to_string())
    }
}

/// An address that AWS's clients ask; gone when dropped.
pub(crate) struct Endpoint {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    behind: Option<String>,
    client: reqwest::Client,
    acts: Mutex<HashMap<String, VecDeque<Act>>>,
    calls: Mutex<Vec<Call>>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Such as `GetParameter`.
    pub(crate) action: String,
    /// The answer of the AWS behind.
    pub(crate) answer: String,
}

impl Endpoint {
    /// One that knows only what it is told.
    pub(crate) async fn alone() -> Self {
        Self::start(None).await
    }

    /// One that passes on everything else.
    pub(crate) async fn before(url: String) -> Self {
        Self::start(Some(url)).await
    }

    async fn start(behind: Option<String>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { behind, ..Shared::default() });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lays down what becomes of the next calls of an action.
    pub(crate) fn next(&self, action: &str, acts: impl IntoIterator<Item = Act>) {
        let mut all = self.shared.acts.lock().unwrap();
        all.entry(action.to_owned()).or_default().extend(acts);
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.shared.calls.lock().unwrap())
    }

    /// How often each action was called since the last time, sorted.
    pub(crate) fn count(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for call in self.take_calls() {
            *counts.entry(call.action).or_default() += 1;
        }
        counts.into_iter().collect()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let action = target.and_then(|target| target.rsplit('.').next()).unwrap_or("none").to_owned();
    let act = shared.acts.lock().unwrap().get_mut(&action).and_then(VecDeque::pop_front);
    let answered = match &act {
        Some(Act::Silence) => std::future::pending().await,
        Some(Act::Answer(status, text)) => (StatusCode::from_u16(*status).unwrap(), text.clone()),
        Some(Act::Lose) | None => pass_on(&shared, &headers, body).await,
    };
    let (status, text) = answered;
    shared.calls.lock().unwrap().push(Call { action, answer: text.clone() });
    if matches!(act, Some(Act::Lose)) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let kind = if text.starts_with('<') { "text/html" } else { "application/x-amz-json-1.1" };
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn pass_on(shared: &Shared, headers: &HeaderMap, body: Bytes) -> (StatusCode, String) {
    let Some(url) = &shared.behind else {
        let unknown: Json<Value> = Json(json!({"__type": "NobodyToldMe"}));
        return (StatusCode::BAD_REQUEST, unknown.0.to_string());
    };
    let request = shared.client.post(url).headers(headers.clone()).body(body);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}
