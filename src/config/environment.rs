//! Values from the environment: `EDGEMINT_<KEY>`, with `__` between the parts of a key.

use std::collections::BTreeMap;

const PREFIX: &str = "EDGEMINT_";

/// Variables that override keys of the file.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

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
        Self(variables.into_iter().filter(|(name, _)| ours(name)).collect())
    }

    pub(super) fn overrides(&self) -> impl Iterator<Item = Override<'_>> {
        self.0.iter().map(|(variable, value)| {
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
