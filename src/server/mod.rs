//! The service: accept connections, answer requests, reload, stop.
//!
//! | path | where |
//! |---|---|
//! | `/session`, `/session/cookies`, `/session/login`, `/session/logout` | `session` |
//! | `/healthz`, `/readyz` | `router` |
//! | everything else | `viewer` |
//! | `/metrics`, on its own listener | `admin` |
//!
//! A request passes, in this order: its number, the limit of requests at once, the host's name, the
//! time limit, the body's limit, and then its handler. Errors become answers in `error` only.

mod accept;
mod admin;
mod asked;
mod connection;
mod error;
mod pages;
mod record;
mod reload;
mod request;
mod return_to;
mod router;
mod session;
mod snapshot;
mod state;
mod viewer;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

pub use self::router::router;
pub use self::snapshot::{Snapshot, SnapshotError};
pub use self::state::AppState;
use crate::config::Environment;

/// Connections that wait to be accepted, if the system allows as many: a load balancer that comes back
/// opens all of its own at once, and one that does not fit is tried again only a second later.
const BACKLOG: u32 = 4096;

/// A service with its ports bound.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    admin: Option<TcpListener>,
    state: AppState,
    config_file: PathBuf,
    environment: Environment,
    hang_ups: Signal,
}

/// Why the service cannot start to listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A port that cannot be had.
    #[error("cannot listen on {address}, which {key} names: {source}")]
    Port {
        /// The key of the configuration.
        key: &'static str,
        /// The address it names.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No signals.
    #[error("cannot hear SIGHUP: {0}")]
    Signal(io::Error),
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopping {
    /// Not at all.
    No,
    /// Not ready any more, but every request is still answered.
    Draining,
    /// Open requests are finished, connections closed.
    Closing,
}

impl Server {
    /// Binds the ports that the configuration names.
    ///
    /// # Errors
    /// [`BindError`] names the address and the key.
    pub fn bind(
        state: AppState,
        config_file: PathBuf,
        environment: Environment,
    ) -> Result<Self, BindError> {
        let site = state.snapshot().config.site.clone();
        let listener = bind("listen", site.listen)?;
        let admin = match site.admin_listen {
            Some(address) => Some(bind("admin_listen", address)?),
            None => None,
        };
        // From here on: without a handler, SIGHUP would end the program.
        let hang_ups = signal(SignalKind::hangup()).map_err(BindError::Signal)?;
        Ok(Self { listener, admin, state, config_file, environment, hang_ups })
    }

    /// The address that people's requests arrive at.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of `/metrics`.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stopping` says [`Stopping::Closing`] and every request is answered, or the drain
    /// timeout has passed.
    pub async fn serve(self, stopping: watch::Receiver<Stopping>) {
        let state = self.state.clone();
        let reload = tokio::spawn(reload::follow(
            state.clone(),
            self.config_file,
            self.environment,
            self.hang_ups,
        ));
        let admin = self
            .admin
            .map(|listener| tokio::spawn(admin::serve(listener, state.clone(), stopping.clone())));
        let ready = tokio::spawn(withdraw(state.clone(), stopping.clone()));
        accept::serve(self.listener, state, stopping).await;
        reload.abort();
        ready.abort();
        if let Some(admin) = admin {
            admin.abort();
        }
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    listener(address).map_err(|source| BindError::Port { key, address, source })
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As every server does, so that a restart gets the port of connections that are still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Withdraws readiness as soon as a stop begins, so that load balancers look elsewhere.
async fn withdraw(state: AppState, mut stopping: watch::Receiver<Stopping>) {
    if stopping.wait_for(|stage| *stage >= Stopping::Draining).await.is_ok() {
        state.set_draining();
    }
}
