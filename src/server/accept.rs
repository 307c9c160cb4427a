//! The accept loop: every timeout and limit of a connection is set here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Stopping;
use super::connection::{Activity, Patience, Verdict, Watched};
use super::request::Peer;
use super::router::Service;
use super::router::is_health;
use super::state::AppState;
use crate::config::Limits;
use crate::telemetry::OPERATION;

/// Streams that one HTTP/2 connection may have open at once.
const HTTP2_STREAMS: u32 = 128;

/// Streams that one HTTP/2 connection may reset before it is closed (CVE-2023-44487).
const HTTP2_RESETS: usize = 20;

/// Bytes that one HTTP/2 connection, and each of its streams, may send before they are read: the
/// least that the standard allows a connection (RFC 9113 section 6.9.2), since no body is long here.
const HTTP2_WINDOW: u32 = 65_535;

/// The answer at the limit of connections.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
                      Connection: close\r\n\r\n";

/// How long the answer at the limit may take to be sent.
const FULL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection is given at a stop to send a request that is on its way; the answer to it says
/// that the connection ends.
const LAST_REQUEST_TIMEOUT: Duration = Duration::from_millis(250);

/// Fields of a request's head, as many as HTTP/1 allows here. Each costs a hundred bytes of memory,
/// however short it is.
const HEADER_FIELDS: usize = 100;

/// Serves people's requests until the service stops.
pub(super) async fn serve(
    listener: TcpListener,
    state: AppState,
    stopping: watch::Receiver<Stopping>,
) {
    let service = Service::new(state.clone());
    let answer = move |request, peer| {
        let service = service.clone();
        // What answers is large, and hyper moves it from hand to hand.
        Box::pin(async move { service.answer(request, peer).await })
    };
    serve_with(listener, answer, state, stopping).await;
}

/// Serves until the service stops what a function answers.
pub(super) async fn serve_with<A, F>(
    listener: TcpListener,
    answer: A,
    state: AppState,
    mut stopping: watch::Receiver<Stopping>,
) where
    A: Fn(Request<Body>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let limits = state.snapshot().config.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    // Over HTTP/1 a connection has one answer under way. Over HTTP/2 all connections together have no
    // more than that either, however many streams they open and leave unread.
    let answers = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut closing = pin!(closing(&mut stopping));
    let (close, closed) = watch::channel(false);
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: wait for some to be given back.
                    tracing::warn!(target: OPERATION, event = "accept.failed", %error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            () = &mut closing => break,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            state.metrics().connections_refused.inc();
            connections.spawn(turn_away(socket));
            continue;
        };
        let connection = Connection {
            answer: answer.clone(),
            peer,
            limits: state.snapshot().config.limits,
            answers: answers.clone(),
            closed: closed.clone(),
        };
        let state = state.clone();
        connections.spawn(async move {
            state.metrics().connections.inc();
            connection.run(socket).await;
            state.metrics().connections.dec();
            drop(place);
        });
    }
    drop(listener);
    let _ = close.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain_timeout, all).await.is_err() {
        tracing::warn!(target: OPERATION, event = "stop.cut", "requests were cut at the drain timeout");
    }
}

async fn closing(stopping: &mut watch::Receiver<Stopping>) {
    let _ = stopping.wait_for(|stage| *stage >= Stopping::Closing).await;
}

async fn turn_away(mut socket: TcpStream) {
    let _ = tokio::time::timeout(FULL_TIMEOUT, async {
        socket.write_all(FULL).await?;
        socket.shutdown().await
    })
    .await;
}

struct Connection<A> {
    answer: A,
    peer: SocketAddr,
    limits: Limits,
    /// One permit per answer over HTTP/2 that is in work or not yet sent to its end.
    answers: Arc<Semaphore>,
    closed: watch::Receiver<bool>,
}

impl<A, F> Connection<A>
where
    A: Fn(Request<Body>, Peer) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    async fn run(mut self, socket: TcpStream) {
        // Answers are small and waited for.
        let _ = socket.set_nodelay(true);
        let activity = Activity::new(patience(&self.limits));
        let socket = TokioIo::new(Watched { socket, activity: activity.clone() });
        let builder = builder(&self.limits);
        let (account, answers) = (activity.clone(), self.answers.clone());
        let peer = Peer(self.peer.ip());
        let closing = self.closed.clone();
        let answer = self.answer;
        let service = service_fn(move |request: Request<Incoming>| {
            let version = request.version();
            let begun = place_for(&request, &answers)
                .map(|place| (account.begin(place), answer(request.map(Body::new), peer)));
            let closing = closing.clone();
            async move {
                let (answering, answer) = match begun {
                    Ok(begun) => begun,
                    Err(status) => return Ok(bare(status)),
                };
                let mut response = answer.await;
                // So that nobody sends another request into the end of the connection.
                if *closing.borrow() && version < Version::HTTP_2 {
                    let value = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, value);
                }
                Ok::<_, Infallible>(answering.until_sent(response, version))
            }
        });
        let mut serving = pin!(builder.serve_connection(socket, service));
        let mut closed = pin!(async {
            let _ = self.closed.wait_for(|closed| *closed).await;
            // A request may be on the way, and would be lost.
            let _ = tokio::time::timeout(LAST_REQUEST_TIMEOUT, activity.request()).await;
        });
        let mut told = false;
        loop {
            let until = match activity.judge() {
                Verdict::WaitUntil(until) => until,
                Verdict::Stuck => return,
                Verdict::Idle if told => return,
                Verdict::Idle => {
                    serving.as_mut().graceful_shutdown();
                    told = true;
                    tokio::time::Instant::now() + FULL_TIMEOUT
                }
            };
            tokio::select! {
                _ = serving.as_mut() => return,
                () = tokio::time::sleep_until(until) => {}
                () = activity.head_begins() => {}
                () = &mut closed, if !told => {
                    serving.as_mut().graceful_shutdown();
                    told = true;
                }
            }
        }
    }
}

fn patience(limits: &Limits) -> Patience {
    Patience {
        head: limits.header_timeout,
        work: limits.body_timeout + limits.request_timeout,
        idle: limits.idle_timeout,
    }
}

/// A place among the answers of HTTP/2, where one is needed, or the status of the refusal.
fn place_for(
    request: &Request<Incoming>,
    answers: &Arc<Semaphore>,
) -> Result<Option<OwnedSemaphorePermit>, StatusCode> {
    if request.headers().len() > HEADER_FIELDS {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    if request.version() < Version::HTTP_2 || is_health(request.uri().path()) {
        return Ok(None);
    }
    answers.clone().try_acquire_owned().map(Some).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

/// A refusal without a body, for which the browser need not open any window.
fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(HTTP2_STREAMS)
        .initial_connection_window_size(HTTP2_WINDOW)
        .initial_stream_window_size(HTTP2_WINDOW)
        .max_pending_accept_reset_streams(HTTP2_RESETS)
        .max_local_error_reset_streams(HTTP2_RESETS);
    builder
}
