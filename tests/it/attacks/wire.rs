use std::sync::Arc;
use std::time::{Duration, Instant};

use edgemint::authn::{Fetcher as _, HttpFetcher, Reach};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Service, says, statuses};
use crate::limits::{Running, SOON, dribble, head, millis, stalling};
use crate::overload::{bound, flood};
use crate::process::Site;
use crate::support::{CONFIG, HOST};

/// What an attacker wants the service to take for a request of its own.
const INNER: &str =
    "GET /session/smuggled HTTP/1.1\r\nHost: viewer.example.org\r\nX-Inner: y\r\n\r\n";

/// Requests that two readers may end at different places, with another one in what is left over.
fn ambiguous() -> Vec<(&'static str, String)> {
    let length = INNER.len();
    let chunk = format!("{length:x}\r\n{INNER}\r\n0\r\n\r\n");
    let ended = format!("0\r\n\r\n{INNER}");
    let mut all = vec![
        (
            "CL.TE",
            post(
                &format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", ended.len()),
                &ended,
            ),
        ),
        (
            "CL.TE, the length last",
            post(
                &format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", ended.len()),
                &ended,
            ),
        ),
        ("TE.CL", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", &chunk)),
        ("CL.CL", post(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), INNER)),
        ("CL.CL in a list", post(&format!("Content-Length: 0, {length}\r\n"), INNER)),
        ("CL.CL in another list", post(&format!("Content-Length: {length}, 0\r\n"), INNER)),
        (
            "chunked over HTTP/1.0",
            post("Transfer-Encoding: chunked\r\n", &ended).replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        (
            "a chunk's extension with a bare LF",
            post("Transfer-Encoding: chunked\r\n", &format!("2;x\nxx\r\n{ended}")),
        ),
        (
            "a chunk's size with a bare LF",
            post("Transfer-Encoding: chunked\r\n", &format!("2\nxx\r\n{ended}")),
        ),
        (
            "a chunk's end without CR",
            post("Transfer-Encoding: chunked\r\n", &format!("2\r\nxx\n{ended}")),
        ),
        (
            "a chunk's end missing",
            post("Transfer-Encoding: chunked\r\n", &format!("2\r\nxx{ended}")),
        ),
        (
            "a chunk's size too large",
            post("Transfer-Encoding: chunked\r\n", &format!("1{length:016x}\r\n{INNER}")),
        ),
        (
            "a chunk's size with a sign",
            post("Transfer-Encoding: chunked\r\n", &format!("-1\r\n{INNER}")),
        ),
        (
            "a chunk's size with 0x",
            post("Transfer-Encoding: chunked\r\n", &format!("0x0\r\n\r\n{INNER}")),
        ),
        (
            "a chunk's size that is empty",
            post("Transfer-Encoding: chunked\r\n", &format!("\r\n\r\n{INNER}")),
        ),
        ("a bare CR in a value", post(&format!("X: y\rContent-Length: {length}\r\n"), INNER)),
        ("a NUL in a value", post(&format!("X: y\0\r\nContent-Length: {length}\r\n"), INNER)),
        ("a NUL in a name", post(&format!("Content-Length\0: {length}\r\n"), INNER)),
        (
            "a space in front of a head",
            format!(" {}", post(&format!("Content-Length: {length}\r\n"), INNER)),
        ),
    ];
    all.extend(misspelled());
    all
}

/// Lengths and encodings that are nearly ones.
fn misspelled() -> Vec<(&'static str, String)> {
    let chunk = format!("{:x}\r\n{INNER}\r\n0\r\n\r\n", INNER.len());
    let ended = format!("0\r\n\r\n{INNER}");
    let mut all = Vec::new();
    for (name, value) in [
        ("CL 0x", "Content-Length: 0x0"),
        ("CL sign", "Content-Length: +0"),
        ("CL minus", "Content-Length: -1"),
        ("CL spaces", "Content-Length: 0 0"),
        ("CL empty", "Content-Length:"),
        ("CL over", "Content-Length: 18446744073709551616"),
        ("CL tab", "Content-Length\t: 0"),
        ("CL space", "Content-Length : 0"),
        ("CL fold", "Content-Length:\r\n 0"),
        ("CL point", "Content-Length: 0.0"),
        ("CL underscore", "Content-Length: 0_0"),
    ] {
        all.push((name, post(&format!("{value}\r\n"), INNER)));
    }
    for (name, value) in [
        ("TE x", "Transfer-Encoding: xchunked"),
        ("TE space", "Transfer-Encoding : chunked"),
        ("TE tab", "Transfer-Encoding:\tchunked"),
        ("TE vertical tab", "Transfer-Encoding: \x0bchunked"),
        ("TE form feed", "Transfer-Encoding:\x0cchunked"),
        ("TE fold", "Transfer-Encoding:\r\n chunked"),
        ("TE fold of another", "X: y\r\n Transfer-Encoding: chunked"),
        ("TE space in front", " Transfer-Encoding: chunked"),
        ("TE quoted", "Transfer-Encoding: \"chunked\""),
        ("TE identity", "Transfer-Encoding: identity"),
        ("TE chunked, identity", "Transfer-Encoding: chunked, identity"),
        ("TE identity, chunked", "Transfer-Encoding: identity, chunked"),
        ("TE gzip, chunked", "Transfer-Encoding: gzip, chunked"),
        ("TE chunked twice", "Transfer-Encoding: chunked, chunked"),
        ("TE comma", "Transfer-Encoding: , chunked"),
        ("TE two", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"),
        ("TE two, the other first", "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
        ("TE capitals", "Transfer-Encoding: CHUNKED"),
        ("TE by LF", "X: y\nTransfer-Encoding: chunked"),
        ("TE by CR", "X: y\rTransfer-Encoding: chunked"),
        ("TE empty", "Transfer-Encoding:"),
        ("TE NUL", "Transfer-Encoding: chunked\0"),
    ] {
        all.push((name, post(&format!("Content-Length: {}\r\n{value}\r\n", ended.len()), &ended)));
        let name = value.split(['\r', '\n']).next().unwrap();
        all.push((name, post(&format!("{value}\r\nContent-Length: 4\r\n"), &chunk)));
    }
    all
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /session/cookies HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n{body}")
}

/// Requests that have one end by RFC 9112, and another one for readers who are less exact. The service takes
/// what follows for a request of its own; a server in front must agree.
fn inexact() -> Vec<(&'static str, String)> {
    let length = INNER.len();
    let chunk = format!("{length:x}\r\n{INNER}\r\n0\r\n\r\n");
    let post = |headers: &str, body: &str| {
        format!("POST /session/cookies HTTP/1.1\r\nHost: {HOST}\r\n{headers}{body}")
    };
    vec![
        (
            "a head that ends with a bare LF",
            post("Content-Length: 0\r\nX: y\n", &format!("\n{INNER}")),
        ),
        (
            "a length in a trailer",
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("\r\n0\r\nContent-Length: {length}\r\n\r\n{INNER}"),
            ),
        ),
        (
            "a name with an underscore",
            post("Transfer_Encoding: chunked\r\nContent-Length: 4\r\n", &format!("\r\n{chunk}")),
        ),
        (
            "another name with an underscore",
            post(&format!("Content_Length: {length}\r\n"), &format!("\r\n{INNER}")),
        ),
    ]
}

/// Requests under `/session/` that the service has seen and knows no route for.
fn inner_requests(metrics: &str) -> u64 {
    let lines =
        metrics.lines().filter(|line| line.starts_with("edgemint_requests_total{route=\"Other\""));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn case_47_no_request_hides_in_another() {
    let service = Service::start().await;
    let own = |text: &str| text.replace(HOST, &service.public_host);
    let mut asking = JoinSet::new();
    for (name, request) in ambiguous() {
        let (port, request) = (service.port, own(&request));
        asking.spawn(async move { (name, says(port, request).await) });
    }
    let mut hidden = Vec::new();
    while let Some(asked) = asking.join_next().await {
        let (name, said) = asked.unwrap();
        // What is left over is no request: refused, or never read.
        let inner = statuses(&said).into_iter().skip(1).any(|status| status != 400);
        if inner || said.contains("not-found") {
            hidden.push(name);
        }
    }
    assert_eq!(hidden, Vec::<&str>::new());
    assert_eq!(inner_requests(&service.metrics().await), 0);
    // The control: in the open, a second request on one connection is a request.
    let plain = own(&format!(
        "POST /session/cookies HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n{INNER}"
    ));
    assert_eq!(statuses(&service.says(&plain).await), [401, 404]);
    assert_eq!(inner_requests(&service.metrics().await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_47_behind_nginx_no_request_is_answered_that_nginx_did_not_see() {
    let site = crate::beside::nginx::start(CONFIG, crate::beside::nginx::PAGES).await;
    for (name, request) in ambiguous().into_iter().chain(inexact()) {
        let before = site.asked();
        let said = says(site.port(), request).await;
        let (asked, answered) = (site.asked() - before, statuses(&said).len());
        assert!(asked <= answered as u64, "{name}: {asked} requests, {answered} answers: {said}");
    }
    assert!(site.asked() > 0, "nginx passes some of them on");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_48_slow_clients_are_cut_while_others_are_answered() {
    const EACH: usize = 15;
    let running = Arc::new(Running::new(|limits| {
        limits.header_timeout = millis(1000);
        limits.body_timeout = millis(1000);
        limits.request_timeout = millis(500);
        limits.idle_timeout = millis(1500);
        limits.connections = 3 * EACH + 10;
    }));
    let large = vec![b'x'; 24 << 20];
    std::fs::write(running.app.folder.path().join("viewer/large.bin"), &large).unwrap();
    let mut snapshot = crate::support::App::load(&running.app.folder).unwrap();
    snapshot.config = running.app.state.snapshot().config.clone();
    running.app.state.swap(snapshot);
    let (mut slow, mut readers) = (JoinSet::new(), Vec::new());
    for _ in 0..EACH {
        slow.spawn(dribble(running.connect().await));
        let mut body = running.connect().await;
        slow.spawn(async move {
            let start = Instant::now();
            assert_eq!(body.ask(&format!("{}1", stalling(1000))).await.status, 408);
            start.elapsed()
        });
        let mut reader = running.connect().await;
        reader.0.write_all(head("GET", "/large.bin", "").as_bytes()).await.unwrap();
        readers.push(reader);
    }
    let start = Instant::now();
    while start.elapsed() < millis(1200) {
        let answer = timeout(SOON, running.connect().await.ask(&head("GET", "/session", ""))).await;
        assert_eq!(answer.expect("an answer beside slow ones").status, 401);
        sleep(millis(50)).await;
    }
    while let Some(cut) = slow.join_next().await {
        let after = cut.unwrap();
        assert!(after < 2 * SOON, "cut after {after:?}");
    }
    // Who reads nothing does not learn that the connection is gone; the service's own count does.
    let alone = async || running.metrics().await.contains("edgemint_connections 1\n");
    running.until("an end of all slow connections", alone).await;
    assert_eq!(readers.len(), EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_49_floods_of_http2_frames_are_cut_and_others_are_answered() {
    let service = Service::start().await;
    let connections = 10;
    for (name, count, cut) in
        [("rapid_reset", 500, false), ("continuation", 500, true), ("header_bomb", 30, false)]
    {
        let flooded = flood(&service, name, connections, count).await;
        assert!(!cut || flooded.closed == connections, "{name}: {flooded:?}");
        service.assert_answers(name).await;
        service.assert_peak_under(bound(connections), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_50_long_heads_pass_up_to_the_limit_and_are_cut_beyond() {
    let service = Service::start().await;
    let line = |bytes: usize| format!("X-Fill: {}\r\n", "x".repeat(bytes));
    let fits = service.of_nobody("GET /readyz HTTP/1.1", &line(15_000).repeat(4));
    assert_eq!(statuses(&service.says(fits).await), [200]);
    let megabyte = 1 << 20;
    for (name, request) in [
        ("one field", service.of_nobody("GET /readyz HTTP/1.1", &line(megabyte))),
        ("many fields", service.of_nobody("GET /readyz HTTP/1.1", &line(8_000).repeat(128))),
        ("tiny fields", service.of_nobody("GET /readyz HTTP/1.1", &"X:y\r\n".repeat(50_000))),
        ("the path", service.of_nobody(&format!("GET /{} HTTP/1.1", "x".repeat(megabyte)), "")),
        (
            "the query",
            service.of_nobody(&format!("GET /session?{} HTTP/1.1", "x".repeat(megabyte)), ""),
        ),
        ("the method", service.of_nobody(&format!("{} / HTTP/1.1", "X".repeat(megabyte)), "")),
        (
            "a field's name",
            service.of_nobody("GET / HTTP/1.1", &format!("{}: y\r\n", "x".repeat(megabyte))),
        ),
        (
            "the cookies",
            service.of_nobody(
                "GET / HTTP/1.1",
                &format!("Cookie: {}\r\n", "a=b; ".repeat(megabyte / 5)),
            ),
        ),
    ] {
        let said = service.says(request).await;
        let refused = statuses(&said).iter().all(|status| [400, 414, 431].contains(status));
        assert!(refused, "{name}: {said}");
    }
    service.assert_answers("after long heads").await;
    service.assert_peak_under(bound(10), "heads of a megabyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_51_nothing_is_upgraded_so_nothing_is_smuggled_behind_an_upgrade() {
    let service = Service::start().await;
    let site = crate::beside::nginx::start(CONFIG, crate::beside::nginx::PAGES).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for upgrade in ["websocket", "h2c", "TLS/1.0", "HTTP/2.0", "h2c, websocket", "connect-udp"] {
        for behind in [INNER, preface, "\x01\x05\0\0\0\0hello"] {
            let request = format!(
                "GET /session HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                 Upgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n{behind}"
            );
            let direct = service.says(request.replace(HOST, &service.public_host)).await;
            let before = site.asked();
            let proxied = says(site.port(), &request).await;
            for said in [&direct, &proxied] {
                assert_eq!(statuses(said).first(), Some(&401), "{upgrade}: {said}");
                assert!(!statuses(said).contains(&101), "{upgrade}: {said}");
                // The settings frame of a server that speaks HTTP/2.
                assert!(!said.contains("\0\0\u{18}\u{4}"), "{upgrade}: {said}");
            }
            let asked = site.asked() - before;
            assert!(asked <= statuses(&proxied).len() as u64, "{upgrade}: {asked}: {proxied}");
        }
    }
}

/// Servers of keys that answer with what no server should.
async fn misbehaving(kind: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{kid}}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let (first, again, pause) = match kind {
                    "resets" => {
                        socket.set_zero_linger().unwrap();
                        return;
                    }
                    "closes" => return,
                    "hangs" => ("", "", 1000),
                    "endless head" => (
                        "HTTP/1.1 200 OK\r\n",
                        "X-Fill: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
                        0,
                    ),
                    "endless line" => (
                        "HTTP/1.1 200 OK\r\nX: ",
                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                        0,
                    ),
                    "endless body" => {
                        ("HTTP/1.1 200 OK\r\n\r\n", "-----BEGIN PUBLIC KEY-----\n", 0)
                    }
                    "endless interim" => ("", "HTTP/1.1 103 Early Hints\r\n\r\n", 0),
                    "drips" => ("HTTP/1.1 200 OK\r\n\r\n", "-", 50),
                    "too long" => {
                        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "x", 0)
                    }
                    _ => ("garbage\r\n\r\n", "garbage\r\n\r\n", 100),
                };
                let again = if pause == 0 { again.repeat(200) } else { again.to_owned() };
                let _ = socket.write_all(first.as_bytes()).await;
                // Bounded, should nobody hang up.
                let end = Instant::now() + Duration::from_secs(15);
                while Instant::now() < end && socket.write_all(again.as_bytes()).await.is_ok() {
                    sleep(Duration::from_millis(pause)).await;
                }
            });
        }
    });
    url
}

/// No request is passed on to anybody; the only servers that the service itself asks are those of keys.
#[tokio::test(flavor = "multi_thread")]
async fn case_52_a_server_that_hangs_resets_or_never_ends_costs_one_fetch_its_time() {
    let fetcher = Arc::new(HttpFetcher::new(Reach::Laptop).unwrap());
    let mut fetching = JoinSet::new();
    for kind in [
        "resets",
        "closes",
        "hangs",
        "endless head",
        "endless line",
        "endless body",
        "endless interim",
        "drips",
        "too long",
        "garbage",
    ] {
        let (fetcher, url) = (fetcher.clone(), misbehaving(kind).await.replace("{kid}", "key"));
        fetching.spawn(async move {
            let start = Instant::now();
            let answer = fetcher.fetch(&url).await;
            (kind, start.elapsed(), answer)
        });
    }
    while let Some(answer) = fetching.join_next().await {
        let (kind, took, answer) = answer.unwrap();
        assert!(answer.is_err(), "{kind}: {} bytes", answer.unwrap().len());
        assert!(took < Duration::from_secs(4) + SOON, "{kind}: {took:?}");
    }
    // The whole program: whoever needs the key waits and is told to come again, others do not wait.
    let mut site = Site::prepare().await;
    let keys =
        site.config.lines().find(|line| line.starts_with("public_key_url")).unwrap().to_owned();
    let hanging = format!("public_key_url = \"{}\"", misbehaving("hangs").await);
    site.config = site.config.replace(&keys, &hanging);
    site.write_config(&site.config);
    let service = Service::on(site, async |_| {}).await;
    let start = Instant::now();
    let (waiting, others) = tokio::join!(service.cookies(crate::support::person("Ada")), async {
        sleep(millis(200)).await;
        let said = service.says(service.of_nobody("GET /session HTTP/1.1", "")).await;
        (statuses(&said), start.elapsed())
    });
    assert!(
        waiting.status() == 503 && waiting.headers().contains_key("retry-after"),
        "{waiting:?}"
    );
    assert!(others.0 == [401] && others.1 < Duration::from_secs(3), "{others:?}");
    let line = service.wait_for("cookies.refused").await;
    assert_eq!(line["status"], 503, "{line}");
}
