//! `/session/cookies` under load, beside the peer: with one policy that all share, and with one for
//! each request.

use crate::machine::cores;
use crate::openssl::{self, Speed};
use crate::report::Report;
use crate::samples::{ROUNDS, Samples};
use crate::service::{Kind, Service};
use crate::site::Site;
use crate::wrk::{self, CONNECTIONS, Load};

/// Seconds of load per service and round.
const ROUND: u64 = 4;

/// Seconds of load before anything is measured.
const WARM_UP: u64 = 2;

/// Two services, with and without a shared policy; OpenSSL's second per operation beside the latter.
pub(crate) const SECONDS: u64 = 2 * 2 * (WARM_UP + ROUNDS as u64 * ROUND) + ROUNDS as u64 * 4 + 4;

/// Bytes of an answer's head and body that hold three cookies.
const LEAST_ANSWER: f64 = 1000.0;

/// What the rounds said of one service.
struct Measured {
    service: Service,
    /// Bytes of one answer, which every answer must have, nearly.
    answer_bytes: Option<f64>,
    per_second: Samples,
    p50_ms: Samples,
    p99_ms: Samples,
    cpu_us: Samples,
    generator_us: Samples,
    idle_megabytes: Samples,
    loaded_megabytes: Samples,
}

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    shared(site, report)?;
    own(site, report)
}

fn shared(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    const WHAT: &str = "one policy that all share";
    let mut peers = start(site, true, report, WHAT)?;
    for round in 1..=ROUNDS {
        report.progress(&format!("cookies, {WHAT}, round {round} of {ROUNDS}"));
        for peer in &mut peers {
            peer.round(site)?;
        }
    }
    compare(&peers, report, WHAT);
    Ok(())
}

fn own(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    const WHAT: &str = "a policy for each request";
    let mut peers = start(site, false, report, WHAT)?;
    let [mut signatures, mut floor] = [Samples::default(), Samples::default()];
    for round in 1..=ROUNDS {
        report.progress(&format!("cookies, {WHAT}, round {round} of {ROUNDS}"));
        let [edgemint, node] = &mut peers;
        edgemint.round(site)?;
        let rsa = openssl::speed("rsa2048", cores())?;
        let p256 = openssl::speed("ecdsap256", cores())?;
        signatures.add(rsa.sign);
        floor.add(all_three(rsa, p256));
        node.round(site)?;
    }
    compare(&peers, report, WHAT);
    beside_openssl(&peers[0], &signatures, &floor, report);
    Ok(())
}

/// How often per second OpenSSL does what a request needs of it: one RSA signature, and the
/// verification of an ES256 and of an RS256 token.
fn all_three(rsa: Speed, p256: Speed) -> f64 {
    1.0 / (1.0 / rsa.sign + 1.0 / rsa.verify + 1.0 / p256.verify)
}

/// Starts both services, and lets them answer a few people and some load before the first round.
fn start(site: &Site, share: bool, report: &Report, what: &str) -> anyhow::Result<[Measured; 2]> {
    report.progress(&format!("cookies, {what}: starting, checking and warming both services"));
    let ready = |kind| {
        let service = Service::start(kind, site, share)?;
        let mut idle_megabytes = Samples::default();
        idle_megabytes.add(service.resident_megabytes()?);
        let mut policies = service.checked_policies(site)?;
        policies.dedup();
        anyhow::ensure!((policies.len() == 1) == share, "{kind} shares otherwise than it should");
        wrk::load(site, service.port, WARM_UP)?;
        Ok(Measured::of(service, idle_megabytes))
    };
    Ok([ready(Kind::Edgemint)?, ready(Kind::Node)?])
}

impl Measured {
    fn of(service: Service, idle_megabytes: Samples) -> Self {
        Self {
            service,
            answer_bytes: None,
            per_second: Samples::default(),
            p50_ms: Samples::default(),
            p99_ms: Samples::default(),
            cpu_us: Samples::default(),
            generator_us: Samples::default(),
            idle_megabytes,
            loaded_megabytes: Samples::default(),
        }
    }

    fn round(&mut self, site: &Site) -> anyhow::Result<()> {
        let before = self.service.cpu_seconds()?;
        let load = wrk::load(site, self.service.port, ROUND)?;
        let cpu = self.service.cpu_seconds()? - before;
        self.check_size(&load)?;
        self.per_second.add(load.requests / load.seconds);
        self.p50_ms.add(load.p50_us / 1e3);
        self.p99_ms.add(load.p99_us / 1e3);
        self.cpu_us.add(cpu / load.requests * 1e6);
        self.generator_us.add(load.cpu_seconds / load.requests * 1e6);
        self.loaded_megabytes.add(self.service.resident_megabytes()?);
        Ok(())
    }

    /// A success without cookies would be shorter.
    fn check_size(&mut self, load: &Load) -> anyhow::Result<()> {
        let bytes = load.bytes / load.requests;
        let first = *self.answer_bytes.get_or_insert(bytes);
        anyhow::ensure!(
            bytes > LEAST_ANSWER && (bytes / first - 1.0).abs() < 0.02,
            "answers of {} have {bytes:.0} bytes, and had {first:.0} before",
            self.service.kind
        );
        Ok(())
    }

    /// Requests per second if the service had all cores for itself: the generator takes its part of
    /// them here.
    fn alone(&self) -> Samples {
        #[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 cores")]
        let cores = cores() as f64;
        self.cpu_us.map(|cpu| cores * 1e6 / cpu)
    }
}

fn compare([edgemint, node]: &[Measured; 2], report: &mut Report, what: &str) {
    let more = |name: &str, of: fn(&Measured) -> Samples| {
        let (one, other) = (of(edgemint), of(node));
        vec![name.to_owned(), one.show(), other.show(), one.over(&other).show()]
    };
    let less = |name: &str, of: fn(&Measured) -> Samples| {
        let (one, other) = (of(edgemint), of(node));
        vec![name.to_owned(), one.show(), other.show(), other.over(&one).show()]
    };
    report.say(&format!("### `POST /session/cookies`, {what}, {CONNECTIONS} connections"));
    report.table(
        &["", "edgemint", "Node.js", "times better"],
        &[
            more("requests/s", |peer| peer.per_second.clone()),
            less("p50, ms", |peer| peer.p50_ms.clone()),
            less("p99, ms", |peer| peer.p99_ms.clone()),
            less("processor time per request, µs", |peer| peer.cpu_us.clone()),
            more("requests/s, were the generator elsewhere", Measured::alone),
            less("memory before the first request, MB", |peer| peer.idle_megabytes.clone()),
            less("memory under load, MB", |peer| peer.loaded_megabytes.clone()),
        ],
    );
    report.say(&format!(
        "The generator took {} µs of processor time per request of edgemint's, {} µs per request \
         of Node.js's.",
        edgemint.generator_us.show(),
        node.generator_us.show()
    ));
    report.say("");
}

fn beside_openssl(edgemint: &Measured, signatures: &Samples, floor: &Samples, report: &mut Report) {
    let alone = edgemint.alone();
    let row = |name: &str, openssl: &Samples| {
        vec![
            name.to_owned(),
            openssl.show(),
            edgemint.per_second.over(openssl).show(),
            alone.over(openssl).show(),
        ]
    };
    report.say(&format!("#### The same beside `openssl speed -multi {}`", cores()));
    report.table(
        &["", "OpenSSL, per second", "edgemint's ratio", "were the generator elsewhere"],
        &[
            row("one RSA-2048 signature", signatures),
            row("that, and verifying an ES256 and an RS256 token", floor),
        ],
    );
}
