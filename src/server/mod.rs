//! The service: accept connections, answer requests, follow keys and configuration, stop.
//!
//! | path | where |
//! |---|---|
//! | `/session`, `/session/cookies`, `/session/login`, `/session/logout` | `session` |
//! | `/session/callback/{provider}` | `sign_in` |
//! | `/session/verify/nginx` | `verify` |
//! | `/session/handoff` and under it | `handoff` |
//! | `/session/shim.js`, `/session/worker.js` | `shim` |
//! | `/healthz`, `/readyz` | `router` |
//! | everything else | `viewer` |
//! | `/metrics`, on its own listener | `admin` |
//!
//! A request passes, in this order: its number, the host's name, the limit of its address, the body's
//! limits, the limit of requests at once, the time limit, and then its handler. Errors become answers in
//! `error` only; what every answer says stands in `router`.

mod accept;
mod admin;
mod asked;
mod buckets;
mod connection;
mod cors;
mod error;
mod follow;
mod follow_bundles;
mod handoff;
mod harden;
mod login_session;
mod pages;
mod problem;
mod record;
mod reload;
mod request;
pub mod return_to;
mod router;
mod script;
mod secrets;
mod session;
mod shim;
mod sign_in;
mod sign_in_error;
mod snapshot;
mod state;
mod throttle;
mod verify;
mod viewer;

use std::io;
use std::net::{self, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

pub use self::follow::Follower;
pub use self::follow_bundles::BundleFollower;
pub use self::request::Peer;
pub use self::router::Service;
pub use self::secrets::{SecretError, SecretProblem, Secrets};
pub use self::snapshot::{NotSigning, Snapshot};
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

/// What the service has from the process that it runs in.
#[derive(Debug)]
pub struct Process {
    /// The variables that configuration is read with, now and at each reload.
    pub environment: Environment,
    /// Listeners that a service manager opened.
    pub listeners: Vec<net::TcpListener>,
    hang_ups: Signal,
}

impl Process {
    /// Hears `SIGHUP` from now on: without a handler, it would end the program.
    ///
    /// # Errors
    /// When signals cannot be heard.
    pub fn new(environment: Environment, listeners: Vec<net::TcpListener>) -> io::Result<Self> {
        Ok(Self { environment, listeners, hang_ups: signal(SignalKind::hangup())? })
    }
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
    /// A listener that the configuration knows nothing of.
    #[error(
        "the service manager hands over a listener at {handed_over}, but listen is {listen} and \
         admin_listen is {admin}; write the same address into the socket unit and the configuration",
        admin = .admin_listen.map_or_else(|| "not set".to_owned(), |address| address.to_string())
    )]
    HandedOver {
        /// Where it listens.
        handed_over: SocketAddr,
        /// What the configuration says.
        listen: SocketAddr,
        /// What the configuration says.
        admin_listen: Option<SocketAddr>,
    },
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
    /// Listens where the configuration says. A listener at that address that the process was given is
    /// used; every other address is bound.
    ///
    /// # Errors
    /// [`BindError`] names the address and the key.
    pub fn bind(
        state: AppState,
        config_file: PathBuf,
        process: Process,
    ) -> Result<Self, BindError> {
        let Process { environment, mut listeners, hang_ups } = process;
        let site = state.snapshot().config.site.clone();
        let listener = listen("listen", site.listen, &mut listeners)?;
        let admin = match site.admin_listen {
            Some(address) => Some(listen("admin_listen", address, &mut listeners)?),
            None => None,
        };
        // One that nobody serves would let its connections wait for ever.
        if let Some(Ok(handed_over)) = listeners.first().map(net::TcpListener::local_addr) {
            let (listen, admin_listen) = (site.listen, site.admin_listen);
            return Err(BindError::HandedOver { handed_over, listen, admin_listen });
        }
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
        let asked = Arc::new(Notify::new());
        let (look, looks) = watch::channel(());
        let keys = tokio::spawn(follow::follow(state.clone(), asked.clone()));
        let reload = tokio::spawn(reload::follow(
            state.clone(),
            self.config_file,
            self.environment,
            self.hang_ups,
            asked,
            look,
        ));
        let bundles = tokio::spawn(follow_bundles::follow(state.clone(), looks));
        let secrets = tokio::spawn(secrets::follow(state.clone()));
        let admin = self
            .admin
            .map(|listener| tokio::spawn(admin::serve(listener, state.clone(), stopping.clone())));
        let ready = tokio::spawn(withdraw(state.clone(), stopping.clone()));
        accept::serve(self.listener, state, stopping).await;
        keys.abort();
        reload.abort();
        bundles.abort();
        secrets.abort();
        ready.abort();
        if let Some(admin) = admin {
            admin.abort();
        }
    }
}

fn listen(
    key: &'static str,
    address: SocketAddr,
    handed_over: &mut Vec<net::TcpListener>,
) -> Result<TcpListener, BindError> {
    let same = |listener: &net::TcpListener| listener.local_addr().is_ok_and(|at| at == address);
    let listener = match handed_over.iter().position(same) {
        Some(at) => adopt(handed_over.swap_remove(at)),
        None => open(address),
    };
    listener.map_err(|source| BindError::Port { key, address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As every server does, so that a restart gets the port of connections that are still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn adopt(listener: net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Withdraws readiness as soon as a stop begins, so that load balancers look elsewhere.
async fn withdraw(state: AppState, mut stopping: watch::Receiver<Stopping>) {
    if stopping.wait_for(|stage| *stage >= Stopping::Draining).await.is_ok() {
        state.set_draining();
    }
}
