//! Values from the environment: `EDGEMINT_<KEY>`, with `__` between the parts of a key, and what a
//! service manager (systemd) says to its service.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

const PREFIX: &str = "EDGEMINT_";

/// The folder of the unit's credentials (systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The socket that hears how far the service is (`sd_notify(3)`).
const NOTIFY: &str = "NOTIFY_SOCKET";

/// Variables that override keys of the file, and those of a service manager.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    overrides: BTreeMap<String, String>,
    credentials: Option<PathBuf>,
    notify_socket: Option<String>,
}

/// One variable, and the key that it overrides.
pub(super) struct Override<'a> {
    pub(super) variable: &'a str,
    pub(super) key: Vec<String>,
    pub(super) value: &'a str,
}

impl Environment {
    /// Keeps the variables that are ours.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |name: &str| name.strip_prefix(PREFIX).is_some_and(|key| !is_service_link(key));
        let mut environment = Self::default();
        for (name, value) in variables {
            match name.as_str() {
                CREDENTIALS => environment.credentials = Some(value.into()),
                NOTIFY => environment.notify_socket = Some(value),
                _ if ours(&name) => drop(environment.overrides.insert(name, value)),
                _ => {}
            }
        }
        environment
    }

    /// With one more override, as if the variable of that key were set.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let name = format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"));
        self.overrides.insert(name, value.to_owned());
        self
    }

    /// The folder of the unit's credentials, if a service manager gives any.
    pub(super) fn credentials(&self) -> Option<&Path> {
        self.credentials.as_deref()
    }

    /// The socket on which a service manager hears how far the service is: a path, or an abstract
    /// name behind an `@`.
    #[must_use]
    pub fn notify_socket(&self) -> Option<&str> {
        self.notify_socket.as_deref()
    }

    pub(super) fn overrides(&self) -> impl Iterator<Item = Override<'_>> {
        self.overrides.iter().map(|(variable, value)| {
            let key = variable[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
            Override { variable, key, value }
        })
    }
}

/// Kubernetes gives every container the addresses of services called `edgemint` or `edgemint-admin`,
/// as `EDGEMINT_SERVICE_HOST`, `EDGEMINT_ADMIN_PORT_8080_TCP` and the like. No key is called so.
fn is_service_link(key: &str) -> bool {
    let key = format!("_{key}");
    let port_of_a_number = key
        .match_indices("_PORT_")
        .any(|(at, _)| key[at + 6..].starts_with(|c: char| c.is_ascii_digit()));
    key.ends_with("_SERVICE_HOST")
        || key.contains("_SERVICE_PORT")
        || key.ends_with("_PORT")
        || port_of_a_number
}

/// Returns the variables of this process; those that are not UTF-8 are none of ours.
#[must_use]
pub fn process_environment() -> Environment {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    let variables = std::env::vars_os();
    Environment::new(
        variables.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )
}

/// Takes the listeners that a service manager opened for this process (`sd_listen_fds(3)`); none
/// where there is none. To be called once, before the process has threads: the variables that tell of
/// them are removed.
///
/// # Errors
/// When something else than a TCP listener was handed over.
pub fn handed_over_listeners() -> io::Result<Vec<TcpListener>> {
    let mut handed_over = ListenFd::from_env();
    let numbers = 0..handed_over.len();
    numbers.filter_map(|number| handed_over.take_tcp_listener(number).transpose()).collect()
}
