//! Checked parts of configurations, for unit tests.

use std::path::Path;

use super::{Environment, LoginFront, Provider, parse};

/// Our own sign-in with one provider, and the defaults for everything else.
pub(crate) fn login() -> LoginFront {
    let text = r#"
        public_url = "https://viewer.example.org"
        [[identity.provider]]
        name = "lab"
        issuer = "https://idp.example.org"
        client = "viewer"
        [identity.login]
        cookie_keys = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        [[distribution]]
        host = "data.example.org"
        [[rule]]
        name = "all"
        allow = { everyone = true }
        resources = ["https://data.example.org/a/*"]
        [keys]
        source = "dir:keys"
    "#;
    let config = parse(Path::new("edgemint.toml"), text, &Environment::default());
    config.unwrap_or_else(|error| panic!("{error}")).fronts.login.unwrap()
}

/// The provider of [`login`].
pub(crate) fn provider() -> Provider {
    login().providers.remove(0)
}
