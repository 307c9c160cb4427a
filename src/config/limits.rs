//! `[limits]`: every limit, with its default and its bounds.

use std::time::Duration;

use super::quantity::{duration_within, within};
use super::raw;
use super::source::Problems;

/// Every limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; one more gets 503 and is closed.
    pub connections: usize,
    /// Requests in work at once; one more gets 503.
    pub requests: usize,
    /// Bytes of a request's head. A load balancer passes 64 KB of headers and 16 KB of request line.
    pub header_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// From a connection's beginning, and later from a request's first byte, to its last header.
    pub header_timeout: Duration,
    /// From the last header to the end of the body.
    pub body_timeout: Duration,
    /// From the end of the body to the answer.
    pub request_timeout: Duration,
    /// From one request to the next. Longer than the load balancer's 60 s, or it meets closed
    /// connections and answers 502.
    pub idle_timeout: Duration,
    /// From SIGTERM until no new connections are accepted; `/readyz` says no meanwhile. Behind a load
    /// balancer, its deregistration delay.
    pub shutdown_delay: Duration,
    /// From then until requests still at work are cut.
    pub drain_timeout: Duration,
    /// Threads that sign; none given means one per core.
    pub signing_threads: usize,
    /// Signatures that wait for a thread; one more gets 503.
    pub signing_queue: usize,
    /// Sets of cookies in one answer. Each takes about a kilobyte, and an nginx in between has room
    /// for 4 KB of headers; further sets are issued on demand.
    pub sets_per_answer: usize,
    /// Fetches of verification keys per minute.
    pub key_fetches_per_minute: u32,
    /// How often one person gets cookies in a minute; one more gets 429. 0: as often as they like.
    pub asks_per_minute_per_subject: u32,
    /// How often one address asks for cookies, sign-in or sign-out in a minute; one more gets 429.
    /// 0: as often as it likes.
    pub asks_per_minute_per_address: u32,
    /// Bytes of the viewer bundle, all of it in memory, with what is kept of earlier ones.
    pub bundle_bytes: u64,
    /// Files of the viewer bundle.
    pub bundle_files: usize,
    /// Bytes of a file of the bundle beyond which it stays on disk.
    pub stream_bytes: u64,
}

pub(super) fn check(raw: &raw::Limits, problems: &mut Problems) -> Option<Limits> {
    let p = problems;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let connections = within("limits.connections", raw.connections, 4096, 1..=1_000_000, p);
    let requests = within("limits.requests", raw.requests, 256, 1..=1_000_000, p);
    let header_bytes = within("limits.header_bytes", raw.header_bytes, 81_920, 8192..=1_048_576, p);
    let body_bytes = within("limits.body_bytes", raw.body_bytes, 16_384, 0..=16_777_216, p);
    let seconds = |key, value: Option<&raw::Duration>, default, bounds, p: &mut Problems| {
        duration_within(key, value, default, bounds, p)
    };
    let header = raw.header_timeout.as_ref();
    let header_timeout = seconds("limits.header_timeout", header, 10, 1..=300, p);
    let body_timeout = seconds("limits.body_timeout", raw.body_timeout.as_ref(), 10, 1..=300, p);
    let request_timeout =
        seconds("limits.request_timeout", raw.request_timeout.as_ref(), 30, 1..=300, p);
    let idle_timeout = seconds("limits.idle_timeout", raw.idle_timeout.as_ref(), 90, 75..=4000, p);
    let shutdown_delay =
        seconds("limits.shutdown_delay", raw.shutdown_delay.as_ref(), 0, 0..=600, p);
    let drain_timeout = seconds("limits.drain_timeout", raw.drain_timeout.as_ref(), 25, 0..=600, p);
    let signing_threads = within("limits.signing_threads", raw.signing_threads, cores, 1..=1024, p);
    let signing_queue = within("limits.signing_queue", raw.signing_queue, 256, 1..=100_000, p);
    let sets = within("limits.sets_per_answer", raw.sets_per_answer, 3, 1..=16, p);
    let fetches =
        within("limits.key_fetches_per_minute", raw.key_fetches_per_minute, 30, 1..=6000, p);
    let [subject, address] = asks_per_minute(raw, p);
    let bundle_bytes = within("limits.bundle_bytes", raw.bundle_bytes, 512 << 20, 1..=64 << 30, p);
    let bundle_files = within("limits.bundle_files", raw.bundle_files, 20_000, 1..=1_000_000, p);
    let stream_bytes = within("limits.stream_bytes", raw.stream_bytes, 8 << 20, 0..=64 << 30, p);
    Some(Limits {
        connections: size(connections?),
        requests: size(requests?),
        header_bytes: size(header_bytes?),
        body_bytes: size(body_bytes?),
        header_timeout: header_timeout?,
        body_timeout: body_timeout?,
        request_timeout: request_timeout?,
        idle_timeout: idle_timeout?,
        shutdown_delay: shutdown_delay?,
        drain_timeout: drain_timeout?,
        signing_threads: size(signing_threads?),
        signing_queue: size(signing_queue?),
        sets_per_answer: size(sets?),
        key_fetches_per_minute: number(fetches?),
        asks_per_minute_per_subject: number(subject?),
        asks_per_minute_per_address: number(address?),
        bundle_bytes: bundle_bytes?,
        bundle_files: size(bundle_files?),
        stream_bytes: stream_bytes?,
    })
}

/// What a person and an address may ask for. Labs share an address, and a page in every tab.
fn asks_per_minute(raw: &raw::Limits, problems: &mut Problems) -> [Option<u64>; 2] {
    [
        ("limits.asks_per_minute_per_subject", raw.asks_per_minute_per_subject, 60),
        ("limits.asks_per_minute_per_address", raw.asks_per_minute_per_address, 600),
    ]
    .map(|(key, value, default)| within(key, value, default, 0..=1_000_000, problems))
}

fn number(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
