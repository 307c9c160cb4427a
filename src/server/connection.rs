//! How long one connection may take over what it does.
//!
//! Hyper's own header timeout also ends idle connections, and its default would close them under a
//! load balancer's feet. So each connection keeps account of its phase here, and is closed when a
//! phase lasts too long: waiting for a request, receiving its head, or not moving while one is
//! answered.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, Version};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

/// What a connection is doing, since when.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Waiting,
    ReceivingHead,
    Answering,
}

#[derive(Debug)]
struct Account {
    phase: Phase,
    since: Instant,
    /// When each answer under way last moved.
    answers: Vec<(u64, Instant)>,
    /// The number of the next answer.
    next: u64,
    /// When somebody will judge again.
    judged_at: Instant,
    /// The connection's first bytes, until they tell whether it speaks HTTP/2.
    opening: Vec<u8>,
}

/// How every HTTP/2 connection begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// The most of an answer's body that is handed over at once over HTTP/2. Taking such a part is a step forward,
/// which a stream makes only as far as the browser has read on.
const PART_BYTES: usize = 64 * 1024;

/// The account of one connection, shared by its socket and its requests.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    account: Mutex<Account>,
    patience: Patience,
    /// Rung when a head begins that will have had its time before anybody judges: it is given less than the
    /// wait before it.
    head_begins: Notify,
    /// Rung when a request's head is complete.
    begins: Notify,
}

/// How long each phase may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// A request's head.
    pub(super) head: Duration,
    /// A request's body and the work on its answer.
    pub(super) work: Duration,
    /// The wait for a request, or for the browser to read on.
    pub(super) idle: Duration,
}

/// What to do about a connection whose time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    WaitUntil(Instant),
    /// Nothing is under way: close it politely.
    Idle,
    /// It holds a place without moving: cut it.
    Stuck,
}

impl Activity {
    pub(super) fn new(patience: Patience) -> Self {
        let account = Account {
            phase: Phase::ReceivingHead,
            since: Instant::now(),
            answers: Vec::new(),
            next: 0,
            judged_at: Instant::now(),
            opening: Vec::with_capacity(PREFACE.len()),
        };
        Self(Arc::new(Shared {
            account: Mutex::new(account),
            patience,
            head_begins: Notify::new(),
            begins: Notify::new(),
        }))
    }

    /// Returns when a request is under way.
    pub(super) async fn request(&self) {
        let begins = self.0.begins.notified();
        if self.account().answers.is_empty() {
            begins.await;
        }
    }

    /// Returns when a head begins on a connection that was waiting, and [`Self::judge`] is due sooner.
    pub(super) async fn head_begins(&self) {
        self.0.head_begins.notified().await;
    }

    pub(super) fn judge(&self) -> Verdict {
        let (mut account, patience) = (self.account(), self.0.patience);
        let (allowed, verdict) = match account.phase {
            Phase::Waiting => (patience.idle, Verdict::Idle),
            // Frames between requests of HTTP/2 are no head.
            Phase::ReceivingHead if account.opening == PREFACE => (patience.idle, Verdict::Idle),
            Phase::ReceivingHead => (patience.head, Verdict::Stuck),
            Phase::Answering => (patience.idle.max(patience.work), Verdict::Stuck),
        };
        // Of several answers, the one that has not moved for longest.
        let since = account.answers.iter().map(|(_, moved)| *moved).min().unwrap_or(account.since);
        let end = since + allowed;
        account.judged_at = end;
        if Instant::now() >= end { verdict } else { Verdict::WaitUntil(end) }
    }

    /// Notes that a request's head is complete; the guard notes the end of its answer.
    pub(super) fn begin(&self, place: Option<OwnedSemaphorePermit>) -> Answering {
        let mut account = self.account();
        let number = account.next;
        account.next += 1;
        account.answers.push((number, Instant::now()));
        account.phase = Phase::Answering;
        self.0.begins.notify_waiters();
        Answering { activity: self.clone(), number, _place: place }
    }

    fn received(&self, bytes: &[u8]) {
        let mut account = self.account();
        let unknown = PREFACE.len() - account.opening.len();
        account.opening.extend_from_slice(&bytes[..unknown.min(bytes.len())]);
        match account.phase {
            // An empty line before a request is to be ignored (RFC 9112 section 2.2).
            Phase::Waiting if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {}
            Phase::Waiting => {
                account.phase = Phase::ReceivingHead;
                account.since = Instant::now();
                if account.since + self.0.patience.head < account.judged_at {
                    self.0.head_begins.notify_one();
                }
            }
            // A head that dribbles in does not earn more time; nor do frames of HTTP/2 that arrive
            // while the browser leaves an answer unread. A body has a time limit of its own.
            Phase::ReceivingHead | Phase::Answering => {}
        }
    }

    /// Over HTTP/1 whatever is sent is a part of the one answer, which is handed over long before a slow
    /// browser has read it. Over HTTP/2 it may be an acknowledgement, which a client can provoke for
    /// ever, so there only the bodies' own steps count.
    fn sent(&self, polled: &Poll<io::Result<usize>>) {
        let mut account = self.account();
        if account.opening != PREFACE && matches!(polled, Poll::Ready(Ok(1..))) {
            let now = Instant::now();
            account.since = now;
            account.answers.iter_mut().for_each(|(_, moved)| *moved = now);
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Activity,
    number: u64,
    _place: Option<OwnedSemaphorePermit>,
}

impl Answering {
    /// Keeps the request under way until the last of its answer's body has been handed over.
    pub(super) fn until_sent(self, response: Response<Body>, version: Version) -> Response<Body> {
        self.moved();
        // Over HTTP/1 what the socket takes is the step, and each part would be a call to the system.
        let part = if version < Version::HTTP_2 { usize::MAX } else { PART_BYTES };
        response.map(|body| Body::new(Guarded { body, rest: Bytes::new(), part, answering: self }))
    }

    fn moved(&self) {
        let mut account = self.activity.account();
        let own = account.answers.iter_mut().find(|(number, _)| *number == self.number);
        if let Some((_, moved)) = own {
            *moved = Instant::now();
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut account = self.activity.account();
        account.answers.retain(|(number, _)| *number != self.number);
        account.since = Instant::now();
        if account.answers.is_empty() {
            account.phase = Phase::Waiting;
        }
    }
}

/// An answer's body, handed over in parts.
struct Guarded {
    body: Body,
    /// What is left of the frame that is being handed over.
    rest: Bytes,
    /// Bytes of a part at most.
    part: usize,
    answering: Answering,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.answering.moved();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let part = self.rest.len().min(self.part);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, hint) = (self.rest.len() as u64, self.body.size_hint());
        match hint.exact() {
            Some(exact) => SizeHint::with_exact(exact + rest),
            None => hint,
        }
    }
}

/// A socket that keeps account of what passes through it.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) socket: S,
    pub(super) activity: Activity,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received(&buffer.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.activity.sent(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.activity.sent(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
