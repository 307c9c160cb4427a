//! Tells the service manager how far the program is: the protocol of `sd_notify(3)`, one datagram per
//! state.

use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Context as _;

/// Every port is bound, and a key is loaded, or Parameter Store is being asked for one.
pub(super) const READY: &str = "READY=1";

/// Open requests are finished, and then the program ends.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Whoever started the program and wants to know; nobody, mostly.
pub(super) struct Manager(Option<SocketAddr>);

impl Manager {
    /// The manager that listens at `socket`.
    pub(super) fn at(socket: Option<&str>) -> anyhow::Result<Self> {
        let address = |name: &str| {
            parse(name).with_context(|| format!("NOTIFY_SOCKET is {name:?}, which is no socket"))
        };
        socket.filter(|name| !name.is_empty()).map(address).transpose().map(Self)
    }

    pub(super) fn tell(&self, state: &str) -> anyhow::Result<()> {
        let Some(address) = &self.0 else { return Ok(()) };
        let sent = UnixDatagram::unbound()
            .and_then(|socket| socket.send_to_addr(state.as_bytes(), address));
        sent.with_context(|| format!("cannot tell the service manager {state}"))?;
        Ok(())
    }
}

fn parse(name: &str) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}
