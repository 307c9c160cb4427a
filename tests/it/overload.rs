//! More than there is room for: whatever arrives, memory stays within the bound that
//! docs/CONFIGURATION.md states, and others are answered.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::process::Service;
use crate::support::person;
use crate::tools::Tool;

/// What any answer may take while the machine is flooded.
const PATIENCE: Duration = Duration::from_secs(10);

/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u64 = 11;

const KB: u64 = 1024;
const MB: u64 = 1024 * KB;

/// The bound of docs/CONFIGURATION.md, without a bundle.
pub(crate) fn bound(connections: u64) -> u64 {
    64 * MB + connections * (2 * 80 * KB + 16 * KB + 64 * KB)
}

/// What an idle connection may hold.
fn idle_bound(connections: u64) -> u64 {
    64 * MB + connections * 24 * KB
}

impl Service {
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * KB
    }

    pub(crate) fn assert_peak_under(&self, most: u64, what: &str) {
        let peak = self.memory("VmHWM");
        eprintln!("{what}: {} MB at the peak, {} MB allowed", peak / MB, most / MB);
        assert!(peak < most, "{what}: {} MB, more than {} MB", peak / MB, most / MB);
    }

    /// Somebody gets cookies, after having been told to come again a few times at most.
    pub(crate) async fn assert_answers(&self, what: &str) {
        let start = Instant::now();
        loop {
            let answer = timeout(PATIENCE, self.cookies(person("Ada"))).await;
            let answer = answer.unwrap_or_else(|_| panic!("{what}: no answer in {PATIENCE:?}"));
            if answer.status() == 200 {
                return;
            }
            assert_eq!(answer.status(), 503, "{what}");
            assert!(answer.headers().contains_key("retry-after"), "{what}");
            assert!(start.elapsed() < PATIENCE, "{what}: only 503 for {PATIENCE:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn head(&self, method: &str, path: &str, headers: &str) -> String {
        let port = self.port;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: viewer.edgemint.localhost:{port}\r\n{headers}\r\n"
        )
    }
}

/// So many connections, and no other limit in the way of one address.
fn limits(connections: u32) -> String {
    format!(
        "[limits]\nconnections = {connections}\nasks_per_minute_per_address = 0\n\
         asks_per_minute_per_subject = 0"
    )
}

/// As many files as the tests with thousands of connections need.
fn raise_open_files(wanted: u64) {
    let had = getrlimit(Resource::Nofile);
    let most = had.maximum.unwrap_or(u64::MAX);
    assert!(most >= wanted, "{wanted} open files are needed, {most} allowed: raise `ulimit -Hn`");
    if had.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: had.maximum };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
}

/// Opens connections, many at once, and has each send something.
async fn open(service: &Service, count: usize, first: &str) -> Vec<TcpStream> {
    let (mut opening, mut sockets) = (JoinSet::new(), Vec::with_capacity(count));
    for _ in 0..count {
        let (port, first) = (service.port, first.to_owned());
        if opening.len() == 200 {
            sockets.push(opening.join_next().await.unwrap().unwrap());
        }
        opening.spawn(async move {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            // Whoever is turned away may be cut while it sends.
            let _ = socket.write_all(first.as_bytes()).await;
            socket
        });
    }
    while let Some(socket) = opening.join_next().await {
        sockets.push(socket.unwrap());
    }
    sockets
}

/// Reads an answer's head from each.
async fn assert_all_say(sockets: &mut [TcpStream], text: &str) {
    for (number, socket) in sockets.iter_mut().enumerate() {
        let mut bytes = vec![0; 4096];
        let read = timeout(PATIENCE, socket.read(&mut bytes)).await.expect("an answer");
        let read = read.unwrap_or_else(|error| panic!("connection {number}: {error}"));
        let said = String::from_utf8_lossy(&bytes[..read]).to_ascii_lowercase();
        assert!(said.contains(text), "connection {number}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_cost_kilobytes_each() {
    raise_open_files(11_000);
    let service = Service::with(&limits(10100)).await;
    let mut idle = open(&service, 10_000, &service.head("GET", "/readyz", "")).await;
    assert_all_say(&mut idle, "200 ok").await;
    service.assert_answers("beside 10,000 idle connections").await;
    service.assert_peak_under(idle_bound(10_000), "10,000 idle connections");
    let ready = service.head("GET", "/readyz", "");
    idle[9_999].write_all(ready.as_bytes()).await.unwrap();
    assert_all_say(&mut idle[9_999..], "200 ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_limit_get_503_and_those_before_go_on() {
    raise_open_files(6_000);
    let service = Service::with(&limits(1000)).await;
    let ready = service.head("GET", "/readyz", "");
    let mut held = open(&service, 1000, &ready).await;
    assert_all_say(&mut held, "200 ok").await;
    for _ in 0..40 {
        let mut refused = open(&service, 100, "").await;
        assert_all_say(&mut refused, "retry-after: 1").await;
    }
    service.assert_peak_under(idle_bound(1000), "4,000 refused connections");
    held[0].write_all(ready.as_bytes()).await.unwrap();
    assert_all_say(&mut held[..1], "200 ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_heads_of_64_kilobytes_stay_within_the_bound() {
    raise_open_files(3_000);
    let service = Service::with(&limits(4096)).await;
    let line = format!("X-Fill: {}\r\n", "x".repeat(8170));
    let unfinished = service.head("GET", "/", &line.repeat(8));
    let unfinished = unfinished.strip_suffix("\r\n").unwrap();
    let slow = open(&service, 1000, unfinished).await;
    sleep(Duration::from_secs(1)).await;
    service.assert_answers("beside 1,000 slow heads").await;
    service.assert_peak_under(bound(1000), "1,000 slow heads");
    drop(slow);
    // A head at the limit is no attack: answered, a thousand times over.
    let mut whole = open(&service, 1000, &service.head("GET", "/readyz", &line.repeat(8))).await;
    assert_all_say(&mut whole, "200 ok").await;
    service.assert_peak_under(bound(1000), "1,000 long heads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bodies_of_a_megabyte_get_413_and_are_not_kept() {
    raise_open_files(3_000);
    let service = Service::with(&limits(4096)).await;
    let head = service.head("POST", "/session/cookies", "Content-Length: 1048576\r\n");
    let mut sockets = open(&service, 1000, &head).await;
    let body = vec![b'x'; 1 << 20];
    for socket in &mut sockets {
        let sent = socket.try_write(&body);
        assert!(sent.is_ok() || service.memory("VmRSS") < bound(1000), "{sent:?}");
    }
    assert_all_say(&mut sockets, "413 payload too large").await;
    service.assert_answers("after 1,000 long bodies").await;
    service.assert_peak_under(bound(1000), "1,000 long bodies");
}

/// Each byte of a body in a chunk of its own, without an end.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_one_byte_chunks_are_not_kept_either() {
    raise_open_files(2_000);
    let service = Service::with(&limits(300)).await;
    let head = service.head("POST", "/session/cookies", "Transfer-Encoding: chunked\r\n");
    let slow = open(&service, 290, &format!("{head}{}", "1\r\nx\r\n".repeat(16_000))).await;
    sleep(Duration::from_secs(1)).await;
    service.assert_peak_under(bound(300), "290 bodies in one-byte chunks");
    service.assert_answers("beside 290 bodies in one-byte chunks").await;
    drop(slow);
}

#[derive(Debug, Deserialize)]
pub(crate) struct Flooded {
    pub(crate) closed: u64,
    goaway: Vec<u64>,
}

/// Floods with `connections` at once while somebody else asks for cookies again and again.
pub(crate) async fn flood(service: &Service, flood: &str, connections: u64, count: u64) -> Flooded {
    let request = json!({
        "flood": flood,
        "port": service.port,
        "host": format!("viewer.edgemint.localhost:{}", service.port),
        "connections": connections,
        "count": count,
    });
    let mut flooding = tokio::task::spawn_blocking(move || {
        Tool::python("http2_flood.py").ask_all::<Flooded>(&[request]).pop().unwrap()
    });
    loop {
        tokio::select! {
            flooded = &mut flooding => break flooded.unwrap(),
            () = service.assert_answers(flood) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Every flood, one after the other, at one service: what one leaves behind would add up.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_frames_stay_within_the_bound_and_leave_others_their_answers() {
    let service = Service::with(&limits(4096)).await;
    let connections = 50;
    for (name, count, cut) in [
        ("rapid_reset", 2000, false),
        ("continuation", 1000, true),
        ("empty_continuation", 1000, true),
        ("header_bomb", 50, false),
        ("many_fields", 100, false),
        ("unread_answers", 400, false),
        ("unread_bodies", 200, false),
        ("pings", 200, false),
        ("settings", 200, false),
    ] {
        let flooded = flood(&service, name, connections, count).await;
        eprintln!("{name}: {flooded:?}");
        if cut {
            assert_eq!(flooded.closed, connections, "{name}: {flooded:?}");
            // Where the server's farewell is read before its end.
            assert!(flooded.goaway.iter().all(|code| *code == ENHANCE_YOUR_CALM), "{flooded:?}");
        }
        service.assert_answers(name).await;
        service.assert_peak_under(bound(connections), name);
    }
}
