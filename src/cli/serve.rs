//! `edgemint serve`: run the service.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::manager::{Manager, READY, STOPPING};
use super::{Done, logging, open_files};
use crate::authn::{Fetcher, HttpFetcher, Reach};
use crate::clock::SystemClock;
use crate::config::{Environment, handed_over_listeners, process_environment};
use crate::server::{AppState, Process, Server, Snapshot, Stopping};
use crate::telemetry::OPERATION;

pub(super) fn run(config: &Path) -> anyhow::Result<Done> {
    let environment = process_environment();
    let listeners = handed_over_listeners()
        .context("the service manager hands over something else than a TCP listener")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(serve(config, environment, listeners))
}

async fn serve(
    config: &Path,
    environment: Environment,
    listeners: Vec<TcpListener>,
) -> anyhow::Result<Done> {
    let manager = Manager::at(environment.notify_socket())?;
    // Before anything that takes long: see there.
    let process = Process::new(environment, listeners).context("cannot hear SIGHUP")?;
    let snapshot = Snapshot::load(config, &process.environment)?;
    logging::start(snapshot.config.log);
    open_files::make_room(snapshot.config.limits.connections);
    let delay = snapshot.config.limits.shutdown_delay;
    let laptop = snapshot.config.site.is_laptop();
    let reach = if laptop { Reach::Laptop } else { Reach::Network };
    let fetcher: Arc<dyn Fetcher> = Arc::new(HttpFetcher::new(reach).context("cannot set up TLS")?);
    let state = AppState::new(snapshot, Arc::new(SystemClock), &fetcher);
    let server = Server::bind(state.clone(), config.to_owned(), process)?;
    let signals = Signals::listen()?;
    announce(&state, &server)?;
    manager.tell(READY)?;
    let (stop, stopping) = watch::channel(Stopping::No);
    tokio::select! {
        () = server.serve(stopping) => {}
        () = signals.stop(stop, delay, &manager) => {}
    }
    tracing::info!(target: OPERATION, event = "stopped", "stopped");
    Ok(Done::Yes)
}

fn announce(state: &AppState, server: &Server) -> anyhow::Result<()> {
    let snapshot = state.snapshot();
    let listen = server.local_address().context("cannot tell the port")?;
    let key = snapshot.ring.as_ref().map(|ring| ring.active.id.to_string());
    let word = if key.is_some() { "ready" } else { "waiting for a key" };
    tracing::info!(
        target: OPERATION,
        event = "started",
        version = env!("CARGO_PKG_VERSION"),
        %listen,
        public_url = %snapshot.config.site.public_url,
        source = %snapshot.config.keys.source,
        key,
        rules = snapshot.config.rules.len(),
        "{word}"
    );
    Ok(())
}

/// Signals that stop the program; heard from before it says that it is ready.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot hear SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot hear SIGINT")?,
        })
    }

    /// The first signal stops softly, the second at once.
    async fn stop(mut self, stop: watch::Sender<Stopping>, delay: Duration, manager: &Manager) {
        let delay = tokio::select! {
            _ = self.terminate.recv() => delay,
            _ = self.interrupt.recv() => Duration::ZERO,
        };
        tracing::info!(target: OPERATION, event = "stopping", "stopping: finishing open requests");
        // A manager that is gone does not keep the program from stopping.
        let _ = manager.tell(STOPPING);
        let _ = stop.send(Stopping::Draining);
        let close = async {
            tokio::time::sleep(delay).await;
            let _ = stop.send(Stopping::Closing);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = close => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
