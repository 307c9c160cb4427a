//! Listeners that nothing but this machine can reach.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::http::header::HOST;
use axum::http::request::Parts;
use tokio::net::TcpListener;

/// A TCP listener on 127.0.0.1; there is no way to make one for another address.
#[derive(Debug)]
pub struct LoopbackListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why a stand-in cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error(
        "port {port} on 127.0.0.1 is taken: stop the program that listens there (`ss -ltnp` or \
         `lsof -i :{port}` names it), or choose another port"
    )]
    Taken {
        /// The port asked for.
        port: u16,
    },
    /// The operating system refuses.
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Refused {
        /// The port asked for.
        port: u16,
        /// Its reason.
        source: io::Error,
    },
}

impl LoopbackListener {
    /// Listens on a port of 127.0.0.1; port 0 takes any free one.
    ///
    /// # Errors
    /// [`BindError`] when the port is taken or may not be used.
    pub async fn bind(port: u16) -> Result<Self, BindError> {
        let listen = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        listen.await.map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken { port },
            _ => BindError::Refused { port, source },
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port, also when any was asked for.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers requests until `shutdown` is over and the last answer is sent.
    pub(super) async fn serve(
        self,
        router: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.listener, service).with_graceful_shutdown(shutdown).await
    }
}

/// The one host that a request names, in lower case.
pub(super) fn host(parts: &Parts) -> Option<String> {
    let mut named = parts.headers.get_all(HOST).iter();
    let host = match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok()?,
        (None, _) => parts.uri.authority()?.as_str(),
        (Some(_), Some(_)) => return None,
    };
    Some(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bind_names_the_port_that_is_taken() {
        let first = LoopbackListener::bind(0).await.unwrap();
        assert!(first.address().ip().is_loopback());
        let error = LoopbackListener::bind(first.port()).await.unwrap_err();
        assert!(matches!(error, BindError::Taken { port } if port == first.port()));
        assert!(error.to_string().contains(&first.port().to_string()), "{error}");
    }
}
