//! `edgemint demo`: the whole loop on this machine.

mod browser;
mod folder;
mod places;
mod site;
mod walk;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::places::Topology;
use self::site::{Plan, Site};
use super::output::say;
use super::{Done, logging};
use crate::config::{Log, LogFormat, LogLevel};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Walk the loop by HTTP without a browser, print what happens, and exit with 0 or 1.
    #[arg(long)]
    check: bool,
    /// The viewer's port; data and sign-in take the next two, load balancer keys the third.
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65_532))]
    port: u16,
    /// Serve viewer and data from one host, as one distribution in front of everything does.
    #[arg(long)]
    one_host: bool,
    /// Show the volumes in Neuroglancer: the folder of the client in PyPI's package, unpacked.
    #[arg(long, value_name = "FOLDER")]
    neuroglancer: Option<PathBuf>,
    /// Print JSON (with --check).
    #[arg(long, requires = "check")]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Done> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let topology = if options.one_host { Topology::OneHost } else { Topology::SiblingHosts };
    let neuroglancer = options.neuroglancer.clone();
    let plan = Plan { port: Some(options.port), topology, neuroglancer };
    if options.check {
        return runtime.block_on(async {
            // Any free ports, so that a demo that is open stays open.
            let site = Site::start(&Plan { port: None, ..plan }).await?;
            walk::run(&site, options.json).await
        });
    }
    logging::start(Log { format: LogFormat::Plain, level: LogLevel::Info });
    runtime.block_on(async {
        // Heard before there is anything that a signal could leave behind.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot hear Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot hear SIGTERM")?;
        let mut hang_up = signal(SignalKind::hangup()).context("cannot hear SIGHUP")?;
        let site = Site::start(&plan).await?;
        welcome(&site, plan.neuroglancer.is_some());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            // The terminal was closed.
            _ = hang_up.recv() => {}
        }
        say("\nThe demo is over; its keys and its configuration are gone.");
        Ok(Done::Yes)
    })
}

fn welcome(site: &Site, neuroglancer: bool) {
    let places = &site.places;
    let volumes = if neuroglancer {
        "Open a volume in Neuroglancer, unmodified: private data next to public, in 3-D."
    } else {
        "Neuroglancer is not here: `make demo` fetches it, or say --neuroglancer FOLDER."
    };
    let behind = match places.topology {
        Topology::SiblingHosts => format!(
            "\
          {viewer}   a stand-in load balancer, in front of edgemint
          {data}     a stand-in CloudFront edge, in front of private data
          {archive}  another, in front of a bucket that it may not list",
            viewer = places.viewer,
            data = places.data,
            archive = places.archive,
        ),
        Topology::OneHost => format!(
            "\
          {viewer}   a stand-in CloudFront edge: /data/ is private data,
                     the rest a stand-in load balancer, in front of edgemint",
            viewer = places.viewer,
        ),
    };
    say(&format!(
        "
  edgemint demo: everything runs on this machine, with fresh keys and no AWS account.

  Open    {viewer}/     (Chrome, Edge or Firefox)

  Try     Sign in as Ada: lab A's neurons open, lab B's cells are refused by the edge.
          {volumes}
          Sign out, sign in as Ben: the other way around, and nothing of Ada's is left.
          Sign in as Noor, who is in no group: nothing opens.
          Watch the clock: cookies live 60 seconds here and renew themselves.

  Script  curl -d grant_type=password -d username=Ada -d client_id=edgemintdemo -d client_secret=edgemint-demo \\
               {login}/oauth2/token
          gives a token (for any name: these people have no passwords); README.md has the rest.

  Behind  {behind}
          {public}   a stand-in public bucket
          {login}    a stand-in identity provider

  Config  {config}

  Stop    Ctrl-C
",
        viewer = places.viewer,
        public = places.public,
        login = places.login,
        behind = behind.trim_start(),
        config = site.config_file().display(),
    ));
}
