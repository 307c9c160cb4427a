//! The machine: what it is, whether it is quiet, and what processes take of it. Linux only.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context as _;

use crate::report::Report;
use crate::{node, openssl, wrk};

/// Ticks of processor time per second in `/proc`, the same on every Linux (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// A machine is quiet if other programs take less of it than this.
const QUIET: f64 = 0.05;

pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Says what the machine is, and whether it has anything else to do.
pub(crate) fn describe(report: &mut Report) -> anyhow::Result<()> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    report.say(&format!(
        "{}; {} cores; Linux {}; Node.js {}; {}; {}; edgemint {} at {}.",
        model.unwrap_or("unknown processor").trim(),
        cores(),
        kernel.trim(),
        node::version()?,
        openssl::version()?,
        wrk::version()?,
        env!("CARGO_PKG_VERSION"),
        revision(),
    ));
    report.say("");
    let before = Taken::now()?;
    std::thread::sleep(Duration::from_secs(1));
    let busy = Taken::now()?.busy_since(&before);
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let verdict = if busy < QUIET { "quiet" } else { "**not quiet: figures are too low**" };
    report.say(&format!(
        "Before the run the machine was {verdict}: {:.0} % busy, load average {load}.",
        busy * 100.0
    ));
    report.say("");
    Ok(())
}

/// Says how much of the machine's time its host gave to others.
pub(crate) fn describe_disturbance(report: &mut Report) -> anyhow::Result<()> {
    let taken = Taken::now()?;
    report.say(&format!(
        "Since it was started the machine's host took {:.1} % of its time for others.",
        100.0 * taken.stolen / taken.all
    ));
    Ok(())
}

fn revision() -> String {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "no revision".to_owned())
}

/// The machine's time since its start, in ticks.
struct Taken {
    all: f64,
    idle: f64,
    stolen: f64,
}

impl Taken {
    fn now() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat is empty")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
        let [.., idle, iowait, _, _, stolen] = ticks.as_slice() else {
            anyhow::bail!("/proc/stat says {line}");
        };
        Ok(Self { all: ticks.iter().sum(), idle: idle + iowait, stolen: *stolen })
    }

    fn busy_since(&self, before: &Self) -> f64 {
        1.0 - (self.idle - before.idle) / (self.all - before.all)
    }
}

/// Processor time that a process and its living descendants have taken, in seconds.
pub(crate) fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let mut ticks = 0.0;
    for id in tree(process)? {
        let fields = stat(id)?;
        ticks += number(&fields, UTIME)? + number(&fields, STIME)?;
    }
    Ok(ticks / TICKS)
}

/// Processor time that this thread has taken, in seconds.
pub(crate) fn cpu_seconds_of_thread() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().unwrap_or_default();
    Ok(nanoseconds.parse::<f64>().context("/proc/thread-self/schedstat")? / 1e9)
}

/// Processor time that the programs have taken that this one started and saw end, in seconds.
pub(crate) fn cpu_seconds_of_ended() -> anyhow::Result<f64> {
    let fields = stat(std::process::id())?;
    Ok((number(&fields, CUTIME)? + number(&fields, CSTIME)?) / TICKS)
}

/// Resident memory of a process and its descendants, in megabytes of 10⁶ bytes. Pages that several
/// of them share count once.
pub(crate) fn resident_megabytes(process: u32) -> anyhow::Result<f64> {
    let family = tree(process)?;
    // Of a lone process all that is resident counts, also what other programs share with it.
    let field = if family.len() == 1 { "Rss:" } else { "Pss:" };
    let mut kilobytes = 0.0;
    for id in family {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let figure = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes += figure.context("no memory in smaps_rollup")?.parse::<f64>()?;
    }
    Ok(kilobytes * 1024.0 / 1e6)
}

// Fields of /proc/PID/stat behind the command's name, counted from the state (proc(5)).
const PARENT: usize = 1;
const UTIME: usize = 11;
const STIME: usize = 12;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

fn stat(process: u32) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"))?;
    // The name is in brackets, and may hold some.
    let (_, fields) = text.rsplit_once(") ").context("malformed stat")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

fn number(fields: &[String], at: usize) -> anyhow::Result<f64> {
    Ok(fields.get(at).context("too short a stat")?.parse()?)
}

/// A process and its descendants.
pub(crate) fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that has just ended is nobody's child.
        if let Some(parent) = stat(id).ok().and_then(|fields| fields.get(PARENT)?.parse().ok()) {
            parents.push((id, parent));
        }
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    Ok(family)
}

/// All threads of this program away from the first core, for as long as this value lives.
pub(crate) struct Pinned {
    cores: usize,
}

impl Pinned {
    pub(crate) fn to_all_but_the_first_core(cores: usize) -> anyhow::Result<Self> {
        pin(&format!("1-{}", cores - 1))?;
        Ok(Self { cores })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What follows is slower without, not wrong.
        let _ = pin(&format!("0-{}", self.cores - 1));
    }
}

fn pin(cores: &str) -> anyhow::Result<()> {
    let output = Command::new("taskset")
        .args(["--all-tasks", "--pid", "--cpu-list", cores, &std::process::id().to_string()])
        .output()
        .context("taskset")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "taskset: {said}");
    Ok(())
}
