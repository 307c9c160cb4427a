use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, Method};
use edgemint::config::{Environment, Limits};
use edgemint::server::{Process, Server, Stopping};
use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::support::{App, CONFIG, HOST, person};

/// No name of the service.
const ELSEWHERE: &str = "elsewhere.example.org";

/// What any step may take that should take no time at all; the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A service on ports of its own.
pub(crate) struct Running {
    pub(crate) app: App,
    address: SocketAddr,
    admin: SocketAddr,
    stop: watch::Sender<Stopping>,
    serving: JoinHandle<()>,
}

impl Running {
    pub(crate) fn new(change: impl FnOnce(&mut Limits)) -> Self {
        let ports = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
        let app = App::with(&format!("{ports}{CONFIG}"));
        let mut snapshot = App::load(&app.folder).unwrap();
        change(&mut Arc::make_mut(&mut snapshot.config).limits);
        app.state.swap(snapshot);
        let file = app.folder.path().join("edgemint.toml");
        let process = Process::new(Environment::default(), Vec::new()).unwrap();
        let server = Server::bind(app.state.clone(), file, process).unwrap();
        let (address, admin) = (server.local_address().unwrap(), server.admin_address().unwrap());
        let (stop, stopping) = watch::channel(Stopping::No);
        let serving = tokio::spawn(server.serve(stopping));
        Self { app, address, admin, stop, serving }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// A client that speaks HTTP/2 from its first byte.
    fn http2(&self) -> Client {
        let client = Client::builder().no_proxy().tls_certs_only([]).http2_prior_knowledge();
        let client = client.resolve(HOST, self.address).resolve(ELSEWHERE, self.address);
        client.build().unwrap()
    }

    /// What the rules open to Ada, asked over a connection.
    async fn resources(&self) -> String {
        let ada = person("Ada");
        let (claims, access) = (self.app.claims_token(ada), self.app.access_token(ada));
        let headers =
            format!("x-amzn-oidc-data: {claims}\r\nx-amzn-oidc-accesstoken: {access}\r\n");
        let mut connection = self.connect().await;
        let answer = connection.ask(&head("GET", "/session", &headers)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["resources"].to_string()
    }

    pub(crate) async fn metrics(&self) -> String {
        let mut connection = Connection(TcpStream::connect(self.admin).await.unwrap());
        connection.ask(&head("GET", "/metrics", "")).await.body
    }

    /// Waits until `ready` holds, for as long as a reload may take.
    pub(crate) async fn until(&self, what: &str, ready: impl AsyncFn() -> bool) {
        let start = Instant::now();
        while !ready().await {
            assert!(start.elapsed() < 2 * SOON, "{what} did not happen: {}", self.metrics().await);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A client's end of a connection, speaking HTTP/1.1 by hand.
pub(crate) struct Connection(pub(crate) TcpStream);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    body: String,
}

impl Connection {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, text: &str) -> Answer {
        self.send(text).await;
        self.answer().await
    }

    /// Reads one answer with its body.
    async fn answer(&mut self) -> Answer {
        timeout(2 * SOON, self.read_answer()).await.expect("an answer in time")
    }

    async fn read_answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let headers = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        let length = headers
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Answer { status, headers, body: String::from_utf8(body).unwrap() }
    }

    /// How long it takes until the other end closes, without a further answer.
    pub(crate) async fn closed_after(&mut self) -> Duration {
        let start = Instant::now();
        let mut rest = Vec::new();
        let _ = timeout(4 * SOON, self.0.read_to_end(&mut rest)).await.expect("the end in time");
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        start.elapsed()
    }

    async fn assert_open_for(&mut self, time: Duration) {
        let read = timeout(time, self.0.read_u8()).await;
        assert!(read.is_err(), "closed within {time:?}: {read:?}");
    }
}

pub(crate) fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")
}

fn ready() -> String {
    head("GET", "/readyz", "")
}

/// A request that is in work until its body arrives.
pub(crate) fn stalling(bytes: usize) -> String {
    head("POST", "/session/cookies", &format!("Content-Length: {bytes}\r\n"))
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn assert_about(measured: Duration, expected: Duration) {
    let wide = expected.mul_f32(0.8)..expected + SOON;
    assert!(wide.contains(&measured), "{measured:?}, not {expected:?}");
}

#[tokio::test]
async fn a_load_balancers_idle_connection_stays_open() {
    let running = Running::new(|_| {});
    let (mut fresh, mut used) = (running.connect().await, running.connect().await);
    assert_eq!(used.ask(&ready()).await.status, 200);
    tokio::join!(fresh.assert_open_for(millis(3000)), used.assert_open_for(millis(3000)));
    assert_eq!(used.ask(&ready()).await.status, 200);
    assert_eq!(fresh.ask(&ready()).await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_the_idle_timeout_and_not_at_the_header_timeout() {
    let running = Running::new(|limits| {
        limits.idle_timeout = millis(2000);
        limits.header_timeout = millis(500);
    });
    let mut connection = running.connect().await;
    for _ in 0..2 {
        assert_eq!(connection.ask(&ready()).await.status, 200);
    }
    assert_about(connection.closed_after().await, millis(2000));
}

/// An answer is handed to the connection long before a slow browser has read it.
#[tokio::test]
async fn a_slow_download_is_not_cut_while_it_moves() {
    let running = Running::new(|limits| {
        limits.idle_timeout = millis(1500);
        limits.header_timeout = millis(500);
    });
    let large = vec![b'x'; 24 << 20];
    std::fs::write(running.app.folder.path().join("viewer/large.bin"), &large).unwrap();
    let mut snapshot = App::load(&running.app.folder).unwrap();
    snapshot.config = running.app.state.snapshot().config.clone();
    running.app.state.swap(snapshot);
    let mut connection = running.connect().await;
    let head = head("GET", "/large.bin", "");
    connection.0.write_all(head.as_bytes()).await.unwrap();
    let (start, mut received, mut part) = (Instant::now(), 0, vec![0; 2 << 20]);
    while received < large.len() {
        tokio::time::sleep(millis(150)).await;
        let read = connection.0.read(&mut part).await.unwrap();
        assert!(read > 0, "cut after {received} bytes and {:?}", start.elapsed());
        received += read;
    }
    assert!(start.elapsed() > millis(1500), "too fast to tell: {:?}", start.elapsed());
}

/// A connection that never asks for anything does not hold a place for as long as one that did.
#[tokio::test]
async fn a_connection_without_a_first_byte_is_cut_at_the_header_timeout() {
    let running = Running::new(|limits| {
        limits.idle_timeout = millis(2500);
        limits.header_timeout = millis(500);
    });
    let mut connection = running.connect().await;
    assert_about(connection.closed_after().await, millis(500));
}

/// Sends a head byte by byte until the other end has enough of it.
pub(crate) async fn dribble(mut connection: Connection) -> Duration {
    let start = Instant::now();
    for byte in b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
        let sent = connection.0.write_all(&[*byte]).await;
        let read = timeout(millis(100), connection.0.read_u8()).await;
        if sent.is_err() || read.is_ok() {
            break;
        }
        assert!(start.elapsed() < 2 * SOON, "it is not cut");
    }
    start.elapsed()
}

#[tokio::test]
async fn a_head_that_dribbles_is_cut_at_the_header_timeout() {
    let running = Running::new(|limits| limits.header_timeout = millis(1000));
    assert_about(dribble(running.connect().await).await, millis(1000));
}

#[tokio::test]
async fn a_later_head_that_dribbles_is_cut_at_the_header_timeout_too() {
    let running = Running::new(|limits| limits.header_timeout = millis(1000));
    let mut connection = running.connect().await;
    assert_eq!(connection.ask(&ready()).await.status, 200);
    sleep(millis(1500)).await;
    assert_about(dribble(connection).await, millis(1000));
}

/// A head is read in steps that double, so over HTTP/1 the limit may be passed by one step.
#[tokio::test]
async fn a_head_of_64_kilobytes_passes_and_one_of_twice_the_limit_gets_431() {
    let running = Running::new(|_| {});
    let line = format!("X-Fill: {}\r\n", "x".repeat(8180));
    let mut connection = running.connect().await;
    let long = head("GET", &format!("/session/{}", "y".repeat(16_000)), &line.repeat(7));
    assert!(long.len() > 64 * 1024);
    assert_eq!(connection.ask(&long).await.status, 404);
    assert_eq!(connection.ask(&head("GET", "/readyz", &line.repeat(8))).await.status, 200);
    let mut connection = running.connect().await;
    let over = head("GET", "/readyz", &line.repeat(21));
    // Whoever sends on into a closing connection may be cut off.
    let _ = connection.0.write_all(over.as_bytes()).await;
    assert_eq!(connection.answer().await.status, 431);
    connection.closed_after().await;
}

#[tokio::test]
async fn a_body_over_the_limit_gets_413() {
    let running = Running::new(|limits| limits.body_bytes = 1000);
    let mut connection = running.connect().await;
    let sent = |bytes: usize| format!("{}{}", stalling(bytes), "x".repeat(bytes));
    assert_eq!(connection.ask(&sent(1000)).await.status, 401, "nobody is signed in");
    assert_eq!(connection.ask(&sent(1001)).await.status, 413);
    let chunked = head("POST", "/session/cookies", "Transfer-Encoding: chunked\r\n");
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    let mut connection = running.connect().await;
    assert_eq!(connection.ask(&format!("{chunked}{chunk}{chunk}0\r\n\r\n")).await.status, 413);
}

#[tokio::test]
async fn a_body_that_stalls_gets_408() {
    let running = Running::new(|limits| limits.body_timeout = millis(1000));
    let mut connection = running.connect().await;
    let start = Instant::now();
    let answer = connection.ask(&format!("{}12345", stalling(10))).await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_about(start.elapsed(), millis(1000));
    connection.closed_after().await;
}

#[tokio::test]
async fn one_connection_too_many_gets_503_until_another_closes() {
    let running = Running::new(|limits| limits.connections = 2);
    let mut held = [running.connect().await, running.connect().await];
    for connection in &mut held {
        assert_eq!(connection.ask(&ready()).await.status, 200);
    }
    for _ in 0..5 {
        let mut refused = running.connect().await;
        let answer = refused.ask(&ready()).await;
        assert_eq!(answer.status, 503);
        assert!(answer.headers.contains("retry-after: 1\r\n"), "{answer:?}");
    }
    assert!(running.metrics().await.contains("edgemint_connections_refused_total 5"));
    let [first, mut second] = held;
    drop(first);
    running
        .until("a free place", async || running.connect().await.ask(&ready()).await.status == 200)
        .await;
    assert_eq!(second.ask(&ready()).await.status, 200);
}

#[tokio::test]
async fn one_request_too_many_gets_503_until_another_ends() {
    let running = Running::new(|limits| limits.requests = 1);
    let gate = running.app.source.gate.lock().await;
    let (mut busy, mut other) = (running.connect().await, running.connect().await);
    let claims = running.app.claims_token(person("Ada"));
    busy.send(&head("GET", "/session", &format!("x-amzn-oidc-data: {claims}\r\n"))).await;
    running
        .until("a full house", async || {
            let answer = running.connect().await.ask(&head("GET", "/session", "")).await;
            answer.status == 503 && answer.headers.contains("retry-after: 1\r\n")
        })
        .await;
    assert_eq!(other.ask(&ready()).await.status, 200, "health is asked all the same");
    drop(gate);
    assert_ne!(busy.answer().await.status, 503);
    assert_eq!(other.ask(&head("GET", "/session", "")).await.status, 401);
}

#[tokio::test]
async fn a_request_whose_body_is_awaited_takes_no_place() {
    let running = Running::new(|limits| limits.requests = 1);
    let mut slow = running.connect().await;
    slow.send(&stalling(3)).await;
    sleep(millis(200)).await;
    let answer = running.connect().await.ask(&head("GET", "/session", "")).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(slow.ask("123").await.status, 401);
}

#[tokio::test]
async fn http2_works_with_a_header_of_60_kilobytes_and_gets_431_over_the_limit() {
    let running = Running::new(|_| {});
    let url = format!("http://{HOST}/readyz");
    for (bytes, status) in [(10, 200), (60 * 1024, 200), (100 * 1024, 431)] {
        let filler = HeaderValue::from_str(&"x".repeat(bytes)).unwrap();
        let headers = HeaderMap::from_iter([("x-fill".parse().unwrap(), filler)]);
        let answer = running.http2().get(&url).headers(headers).send().await.unwrap();
        assert_eq!(
            (answer.version(), answer.status().as_u16()),
            (axum::http::Version::HTTP_2, status)
        );
    }
}

#[tokio::test]
async fn head_over_http2_is_answered_without_a_body_whatever_the_answer() {
    let running = Running::new(|_| {});
    for (path, host, status) in [
        ("/absent.js", HOST, 404),
        ("/session/absent", HOST, 404),
        ("/session", HOST, 401),
        ("/absent.js", ELSEWHERE, 421),
        ("/readyz", HOST, 200),
    ] {
        let get = |method: Method| {
            let client = running.http2();
            let request = client.request(method, format!("http://{host}{path}"));
            async move { request.send().await.unwrap() }
        };
        let (head, whole) = (get(Method::HEAD).await, get(Method::GET).await);
        assert_eq!(head.status(), status, "{path} at {host}");
        let length = |answer: &reqwest::Response| answer.headers().get("content-length").cloned();
        assert_eq!(length(&head).is_some(), length(&whole).is_some(), "{path} at {host}");
        let (head, whole) = (head.bytes().await.unwrap(), whole.bytes().await.unwrap());
        assert!(head.is_empty() && !whole.is_empty(), "{path} at {host}");
    }
}

#[tokio::test]
async fn an_idle_http2_connection_lives_to_the_idle_timeout_however_its_preface_arrives() {
    let running = Running::new(|limits| {
        limits.header_timeout = millis(500);
        limits.idle_timeout = millis(6000);
    });
    let request: &[u8] =
        b"\0\0\x1f\x01\x05\0\0\0\x01\x82\x86\x44\x07/readyz\x41\x12viewer.example.org";
    for split in [24, 5] {
        let mut socket = running.connect().await.0;
        let (first, second) = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".split_at(split);
        socket.write_all(first).await.unwrap();
        sleep(millis(100)).await;
        socket.write_all(second).await.unwrap();
        socket.write_all(&[b"\0\0\0\x04\0\0\0\0\0", request].concat()).await.unwrap();
        sleep(millis(300)).await;
        socket.write_all(b"\0\0\x08\x06\0\0\0\0\0abcdefgh").await.unwrap();
        sleep(millis(1500)).await;
        socket.write_all(b"\0\0\x08\x06\0\0\0\0\0ijklmnop").await.unwrap();
        let mut read = Vec::new();
        let _ = timeout(millis(500), socket.read_to_end(&mut read)).await;
        let answered = |ping: &[u8]| read.windows(8).any(|window| window == ping);
        assert!(answered(b"abcdefgh"), "split at {split}: {read:?}");
        assert!(answered(b"ijklmnop"), "split at {split}: cut at the header timeout");
    }
}

/// An HTTP/2 connection that allows no byte of any answer's body.
async fn unreading(running: &Running, streams: u8) -> TcpStream {
    let mut socket = running.connect().await.0;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS with SETTINGS_INITIAL_WINDOW_SIZE = 0 (RFC 9113 section 6.5).
    bytes.extend(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0");
    for stream in 0..streams {
        bytes.extend(b"\0\0\x20\x01\x05\0\0\0");
        bytes.push(2 * stream + 1);
        bytes.extend(b"\x82\x86\x44\x08/session\x41\x12viewer.example.org");
    }
    socket.write_all(&bytes).await.unwrap();
    socket
}

#[tokio::test]
async fn an_answer_that_is_never_read_is_cut_at_the_idle_timeout_whatever_else_arrives() {
    let running = Running::new(|limits| {
        limits.idle_timeout = millis(1500);
        limits.header_timeout = millis(500);
        limits.body_timeout = millis(500);
        limits.request_timeout = millis(500);
    });
    let mut socket = unreading(&running, 1).await;
    let start = Instant::now();
    let mut read = vec![0; 4096];
    loop {
        let sent = socket.write_all(b"\0\0\x08\x06\0\0\0\0\0abcdefgh").await;
        match timeout(millis(100), socket.read(&mut read)).await {
            Ok(Ok(1..)) | Err(_) if sent.is_ok() => assert!(start.elapsed() < SOON, "held open"),
            _ => break,
        }
    }
    assert_about(start.elapsed(), millis(1500));
}

#[tokio::test]
async fn streams_with_unread_answers_share_the_limit_of_connections() {
    let running = Running::new(|limits| limits.connections = 3);
    let mut socket = unreading(&running, 5).await;
    let mut read = Vec::new();
    let _ = timeout(millis(1000), socket.read_to_end(&mut read)).await;
    // A head that ends its stream is an answer without a body.
    let (mut rest, mut refused) = (&read[..], 0);
    while let [high, middle, low, kind, flags, tail @ ..] = rest {
        refused += usize::from(*kind == 1 && flags & 1 == 1);
        let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        rest = &tail[4 + length..];
    }
    assert_eq!(refused, 2, "{read:?}");
    let answer = running.connect().await.ask(&head("GET", "/session", "")).await;
    assert_eq!(answer.status, 401, "HTTP/1 is not held up: {answer:?}");
    let over_http2 = async |path: &str| {
        let answer = running.http2().get(format!("http://{HOST}{path}")).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
    };
    assert_eq!(over_http2("/session").await, (503, true));
    assert_eq!(over_http2("/readyz").await, (200, false), "health is asked all the same");
    drop(socket);
    running.until("room", async || over_http2("/session").await == (401, false)).await;
}

#[tokio::test]
async fn more_than_a_hundred_fields_get_431_over_either_protocol() {
    let running = Running::new(|_| {});
    let mut connection = running.connect().await;
    let most = head("GET", "/readyz", &"X: y\r\n".repeat(90));
    assert_eq!(connection.ask(&most).await.status, 200);
    let over = head("GET", "/readyz", &"X: y\r\n".repeat(110));
    assert_eq!(connection.ask(&over).await.status, 431);
    for (fields, status) in [(90, 200), (110, 431)] {
        let mut headers = HeaderMap::new();
        for _ in 0..fields {
            headers.append("x", HeaderValue::from_static("y"));
        }
        let url = format!("http://{HOST}/readyz");
        let answer = running.http2().get(&url).headers(headers).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{fields} fields");
    }
}

#[tokio::test]
async fn a_stop_finishes_requests_and_closes_idle_connections() {
    let running = Running::new(|_| {});
    let [mut idle, mut fresh, mut busy] =
        [running.connect().await, running.connect().await, running.connect().await];
    assert_eq!(idle.ask(&ready()).await.status, 200);
    busy.send(&stalling(3)).await;
    sleep(millis(200)).await;

    running.stop.send(Stopping::Draining).unwrap();
    running
        .until("unreadiness", async || running.connect().await.ask(&ready()).await.status == 503)
        .await;
    assert_eq!(idle.ask(&head("GET", "/session", "")).await.status, 401, "still answered");

    running.stop.send(Stopping::Closing).unwrap();
    assert!(idle.closed_after().await < SOON && fresh.closed_after().await < SOON);
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
    assert!(!running.serving.is_finished());
    assert_eq!(busy.ask("123").await.status, 401);
    busy.closed_after().await;
    timeout(SOON, running.serving).await.expect("the end").unwrap();
}

#[tokio::test]
async fn a_stop_answers_the_first_request_of_a_connection_that_was_just_opened() {
    let running = Running::new(|_| {});
    let mut fresh = running.connect().await;
    sleep(millis(50)).await;
    running.stop.send(Stopping::Closing).unwrap();
    sleep(millis(50)).await;
    assert_eq!(fresh.ask(&head("GET", "/session", "")).await.status, 401);
    fresh.closed_after().await;
    timeout(SOON, running.serving).await.expect("the end").unwrap();
}

/// A load balancer keeps connections, and may be sending on one just when the service stops.
#[tokio::test]
async fn a_stop_answers_a_request_that_is_on_its_way_over_a_kept_connection() {
    let running = Running::new(|_| {});
    let mut kept = running.connect().await;
    assert_eq!(kept.ask(&ready()).await.status, 200);
    running.stop.send(Stopping::Closing).unwrap();
    sleep(millis(100)).await;
    let answer = kept.ask(&head("GET", "/session", "")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.headers.contains("connection: close"), "{answer:?}");
    kept.closed_after().await;
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_end_within_the_drain_timeout() {
    let running = Running::new(|limits| limits.drain_timeout = millis(1000));
    let mut busy = running.connect().await;
    busy.send(&stalling(3)).await;
    sleep(millis(200)).await;
    let start = Instant::now();
    running.stop.send(Stopping::Closing).unwrap();
    timeout(2 * SOON, running.serving).await.expect("the end").unwrap();
    assert_about(start.elapsed(), millis(1000));
    busy.closed_after().await;
}

#[tokio::test]
async fn a_changed_configuration_is_followed_and_a_bad_one_keeps_the_old() {
    let running = Running::new(|_| {});
    let file = running.app.folder.path().join("edgemint.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(running.resources().await.contains("/lab-a/*"));

    std::fs::write(&file, text.replace("example.org/lab-a/*", "example.org/renamed/*")).unwrap();
    running.until("a reload", async || running.resources().await.contains("/renamed/*")).await;
    let counted = async |line: &str| running.metrics().await.contains(line);
    assert!(counted("edgemint_reloads_total{ok=\"true\"} 1").await);

    std::fs::write(&file, "this is no TOML").unwrap();
    running
        .until("a refusal", async || counted("edgemint_reloads_total{ok=\"false\"} 1").await)
        .await;
    assert!(running.resources().await.contains("/renamed/*"));

    std::fs::write(&file, &text).unwrap();
    running.until("a repair", async || running.resources().await.contains("/lab-a/*")).await;
    assert!(counted("edgemint_reloads_total{ok=\"true\"} 2").await);
}
