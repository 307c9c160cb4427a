//! `make bench`: edgemint beside its peers, in one run, interleaved, on one machine.
//!
//! Figures go to standard output as Markdown and to `target/bench.md`, progress to standard error.
//! A run fails where an answer is wrong, never where a figure is low. Names of sections as
//! arguments run these alone.

mod bundle;
mod cookies;
mod h2load;
mod machine;
mod node;
mod openssl;
mod overload;
mod report;
mod samples;
mod service;
mod shim;
mod signing;
mod site;
mod start;
mod tokens;
mod web;
mod wrk;

use anyhow::Context as _;

use self::report::Report;
use self::site::Site;

/// A part of the run that can be asked for by name.
struct Section {
    name: &'static str,
    /// How long it takes, in seconds.
    seconds: u64,
    run: fn(&Site, &mut Report) -> anyhow::Result<()>,
}

const SECTIONS: [Section; 7] = [
    Section { name: "signing", seconds: signing::SECONDS, run: signing::run },
    Section { name: "tokens", seconds: tokens::SECONDS, run: tokens::run },
    Section { name: "cookies", seconds: cookies::SECONDS, run: cookies::run },
    Section { name: "overload", seconds: overload::SECONDS, run: overload::run },
    Section { name: "bundle", seconds: bundle::SECONDS, run: bundle::run },
    Section { name: "shim", seconds: shim::SECONDS, run: shim::run },
    Section { name: "start", seconds: start::SECONDS, run: start::run },
];

fn main() -> anyhow::Result<()> {
    let sections = asked_for()?;
    let seconds = 5 + sections.iter().map(|section| section.seconds).sum::<u64>();
    let mut report = Report::new(seconds);
    report.progress("making a site with its keys and people");
    let site = Site::new()?;
    machine::describe(&mut report)?;
    for section in sections {
        (section.run)(&site, &mut report).with_context(|| section.name.to_owned())?;
    }
    machine::describe_disturbance(&mut report)?;
    report.save()
}

fn asked_for() -> anyhow::Result<Vec<Section>> {
    // Cargo adds flags of its own, such as --bench.
    let names: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let known = |name: &String| SECTIONS.iter().any(|section| section.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all = SECTIONS.map(|section| section.name).join(", ");
        anyhow::bail!("there is no section {unknown}; there are {all}");
    }
    let wanted = |section: &Section| names.is_empty() || names.iter().any(|n| n == section.name);
    Ok(SECTIONS.into_iter().filter(wanted).collect())
}
