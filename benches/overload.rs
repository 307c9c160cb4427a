//! More requests than there is capacity for, each of which costs a signature: how long the accepted
//! ones take, and what the others are told.
//!
//! The service runs on one core and the generator on the rest, so that neither takes from the other.
//! Requests are sent at a fixed rate whether or not earlier ones are answered, and their time counts
//! from when they were due.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::machine::{self, Pinned};
use crate::report::Report;
use crate::samples::Samples;
use crate::service::{Kind, Service};
use crate::site::Site;

/// Times the capacity.
const LOADS: [f64; 4] = [0.5, 1.0, 2.0, 10.0];

const ROUNDS: u32 = 3;

/// Seconds of each load in each round, and of finding out the capacity.
const ROUND: u32 = 3;

pub(crate) const SECONDS: u64 = (ROUNDS * ROUND * 5 + 5) as u64;

/// Connections that ask one request after the other, to find out the capacity.
const BUSY: usize = 16;

/// The most connections of the generator: more than the requests that the service takes at once.
const CONNECTIONS: usize = 3000;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one load did in all rounds.
#[derive(Default)]
struct Outcome {
    offered: Samples,
    accepted: Samples,
    p50_ms: Samples,
    p99_ms: Samples,
    refused: Samples,
    refused_p99_ms: Samples,
    unsent: Samples,
    megabytes: Samples,
}

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let cores = machine::cores();
    anyhow::ensure!(cores > 1, "one core for the service and one for the generator are needed");
    let service = Service::start_on_first_core(Kind::Edgemint, site)?;
    let _pinned = Pinned::to_all_but_the_first_core(cores)?;
    let generator = Arc::new(Generator::new(site, service.port));
    let mut capacity = Samples::default();
    let mut outcomes: [Outcome; 4] = Default::default();
    for round in 1..=ROUNDS {
        report.progress(&format!("overload, round {round} of {ROUNDS}"));
        let most = site.runtime.block_on(generator.clone().saturate())?;
        capacity.add(most);
        for (times, outcome) in LOADS.into_iter().zip(&mut outcomes) {
            let seen = site.runtime.block_on(generator.clone().offer(most * times))?;
            outcome.add(&seen, service.resident_megabytes()?);
        }
    }
    present(&capacity, &outcomes, report);
    Ok(())
}

fn present(capacity: &Samples, outcomes: &[Outcome; 4], report: &mut Report) {
    report.say("### Overload: a policy for each request, the service on one core");
    report.say("");
    report.say(&format!("Capacity: {} requests/s, by {BUSY} busy connections.", capacity.show()));
    let rows: Vec<Vec<String>> = LOADS
        .into_iter()
        .zip(outcomes)
        .map(|(times, outcome)| {
            vec![
                format!("{times} × capacity"),
                outcome.offered.show(),
                outcome.accepted.show(),
                outcome.p50_ms.show(),
                outcome.p99_ms.show(),
                outcome.refused.show(),
                outcome.refused_p99_ms.show(),
                outcome.unsent.show(),
                outcome.megabytes.show(),
            ]
        })
        .collect();
    let head = [
        "offered",
        "requests/s",
        "accepted/s",
        "p50, ms",
        "p99, ms",
        "503/s",
        "p99 of 503, ms",
        "unsent/s",
        "memory, MB",
    ];
    report.table(&head, &rows);
}

impl Outcome {
    fn add(&mut self, seen: &Seen, megabytes: f64) {
        let seconds = f64::from(ROUND);
        let offered = seen.accepted.len() + seen.refused.len() + seen.unsent;
        self.offered.add(count(offered) / seconds);
        self.accepted.add(count(seen.accepted.len()) / seconds);
        self.p50_ms.add(percentile(&seen.accepted, 0.5));
        self.p99_ms.add(percentile(&seen.accepted, 0.99));
        self.refused.add(count(seen.refused.len()) / seconds);
        if !seen.refused.is_empty() {
            self.refused_p99_ms.add(percentile(&seen.refused, 0.99));
        }
        self.unsent.add(count(seen.unsent) / seconds);
        self.megabytes.add(megabytes);
    }
}

#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
fn count(number: usize) -> f64 {
    number as f64
}

fn percentile(times: &[Duration], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = (count(sorted.len()) * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
}

/// What became of the requests, and how long each took from when it was due.
#[derive(Debug, Default)]
struct Seen {
    accepted: Vec<Duration>,
    refused: Vec<Duration>,
    /// Requests that were due while all connections waited for an answer.
    unsent: usize,
}

impl Seen {
    fn add(&mut self, answer: anyhow::Result<(u16, Duration)>) -> anyhow::Result<()> {
        match answer? {
            (200, time) => self.accepted.push(time),
            (_, time) => self.refused.push(time),
        }
        Ok(())
    }
}

struct Generator {
    port: u16,
    requests: Vec<Vec<u8>>,
    /// Connections that wait for a request.
    free: Mutex<Vec<TcpStream>>,
}

impl Generator {
    fn new(site: &Site, port: u16) -> Self {
        let request = |tokens: &crate::site::Tokens| {
            format!(
                "POST /session/cookies HTTP/1.1\r\nHost: viewer.edgemint.localhost:{port}\r\n\
                 Content-Length: 0\r\nX-Amzn-Oidc-Data: {}\r\nX-Amzn-Oidc-Accesstoken: {}\r\n\
                 X-Forwarded-For: 192.0.2.7\r\n\r\n",
                tokens.claims, tokens.access
            )
        };
        let requests = site.tokens.iter().map(|tokens| request(tokens).into_bytes()).collect();
        Self { port, requests, free: Mutex::default() }
    }

    /// How many requests per second are answered if as many wait as a busy service has.
    async fn saturate(self: Arc<Self>) -> anyhow::Result<f64> {
        let end = Instant::now() + Duration::from_secs(ROUND.into());
        let mut asking = JoinSet::new();
        for first in 0..BUSY {
            let this = self.clone();
            asking.spawn(async move {
                let mut answered = 0;
                while Instant::now() < end {
                    let status = this.ask(first + answered * BUSY).await?;
                    anyhow::ensure!(status == 200, "{status} at capacity");
                    answered += 1;
                }
                Ok(answered)
            });
        }
        let mut answered = 0;
        while let Some(one) = asking.join_next().await {
            answered += one??;
        }
        Ok(count(answered) / f64::from(ROUND))
    }

    /// Sends so many requests per second, and waits for all answers.
    async fn offer(self: Arc<Self>, per_second: f64) -> anyhow::Result<Seen> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "thousands")]
        let requests = (per_second * f64::from(ROUND)) as usize;
        let begin = Instant::now();
        let (mut asking, mut seen) = (JoinSet::new(), Seen::default());
        for number in 0..requests {
            let due = begin + Duration::from_secs_f64(count(number) / per_second);
            if due > Instant::now() {
                sleep(due - Instant::now()).await;
            }
            while let Some(one) = asking.try_join_next() {
                seen.add(one?)?;
            }
            if asking.len() >= CONNECTIONS {
                seen.unsent += 1;
                continue;
            }
            let this = self.clone();
            asking
                .spawn(async move { this.ask(number).await.map(|status| (status, due.elapsed())) });
        }
        while let Some(one) = asking.join_next().await {
            seen.add(one?)?;
        }
        Ok(seen)
    }

    /// Asks as one person, and returns the status once the whole answer is there.
    async fn ask(&self, number: usize) -> anyhow::Result<u16> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut socket = match free {
            Some(socket) => socket,
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?,
        };
        let request = &self.requests[number % self.requests.len()];
        let status =
            timeout(PATIENCE, exchange(&mut socket, request)).await.context("no answer")??;
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
        Ok(status)
    }
}

/// Sends a request and reads its answer to the end.
///
/// # Errors
/// When it is neither a success nor a refusal that says when to come again.
async fn exchange(socket: &mut TcpStream, request: &[u8]) -> anyhow::Result<u16> {
    socket.write_all(request).await?;
    let (mut answer, mut length) = (vec![0; 8192], 0);
    let head = loop {
        if let Some(at) = answer[..length].windows(4).position(|end| end == b"\r\n\r\n") {
            break std::str::from_utf8(&answer[..at])?.to_ascii_lowercase();
        }
        let read = socket.read(&mut answer[length..]).await?;
        anyhow::ensure!(read > 0, "closed after {length} bytes of a head");
        length += read;
    };
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::trim))
    };
    let body: usize = field("content-length").context("no length")?.parse()?;
    let rest = (head.len() + 4 + body).saturating_sub(length);
    socket.read_exact(&mut answer[..rest]).await?;
    let status: u16 = head.get(9..12).context("no status")?.parse()?;
    let told = status == 503 && field("retry-after").is_some();
    anyhow::ensure!(status == 200 || told, "an answer that tells nothing: {head}");
    Ok(status)
}
