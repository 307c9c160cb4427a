//! Configuration: one TOML file and the environment, turned into types that cannot be wrong.
//!
//! [`load`] reads, [`raw`] spells the file's keys, and one module per section checks it. All
//! problems are reported at once, each with file, line and key. This is the only reader of the
//! environment.

mod alb;
mod cookie_keys;
mod cors;
mod distribution;
mod environment;
mod fetched;
mod fronts;
mod handoff;
mod hosts;
mod insecure_proxy;
mod issuers;
mod keys;
mod limits;
mod log;
mod login;
mod logout;
mod one_host;
mod quantity;
pub mod raw;
mod rotation;
mod rules;
mod secret;
mod signed;
mod site;
mod source;
mod viewer;

use std::path::Path;

pub use self::alb::{AlbFront, Groups};
pub use self::cookie_keys::CookieKeySource;
pub use self::cors::Cors;
pub use self::distribution::{Distribution, set_at};
pub use self::environment::{Environment, handed_over_listeners, process_environment};
pub use self::fetched::KeyUrl;
pub use self::fronts::Fronts;
pub use self::handoff::HandoffHost;
pub use self::hosts::Hosts;
pub use self::insecure_proxy::InsecureProxy;
pub use self::keys::{KeySource, Keys, ParameterPath};
pub use self::limits::Limits;
pub use self::log::{Log, LogFormat, LogLevel};
pub use self::login::{ClientAuthentication, LoginFront, Provider};
pub use self::logout::LogoutUrl;
pub use self::quantity::parse_duration;
pub use self::rotation::{
    DEFAULT_KMS_KEY, Instance, KeyGroupId, ProbeUrl, Rotation, TargetGroupArn,
};
pub use self::secret::SecretSource;
pub use self::signed::{KeyPlace, SignedFront};
pub use self::site::Site;
pub use self::source::{ConfigError, Problem};
use self::source::{Problems, Source};
pub use self::viewer::{BundleSource, CspSources, Shim, Viewer, ViewerBundle};
use crate::access::{Lifetime, Rule};

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the service listens and what it is called.
    pub site: Site,
    /// What vouches for people.
    pub fronts: Fronts,
    /// The data hosts.
    pub distributions: Vec<Distribution>,
    /// Where the keys are that seal handoff tokens, if a data host takes any.
    pub handoff: Option<CookieKeySource>,
    /// Who may see what.
    pub rules: Vec<Rule>,
    /// Where signing keys come from.
    pub keys: Keys,
    /// What the commands that rotate keys need to know.
    pub rotation: Rotation,
    /// The viewer bundle, if there is one.
    pub viewer: Option<Viewer>,
    /// Other origins whose scripts may ask for cookies.
    pub cors: Cors,
    /// How the log is written.
    pub log: Log,
    /// Every limit.
    pub limits: Limits,
}

impl Config {
    /// The longest life that any rule gives to cookies.
    #[must_use]
    pub fn longest_lifetime(&self) -> Lifetime {
        self.rules.iter().map(|rule| rule.lifetime).max().unwrap_or(Lifetime::LONGEST)
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// [`ConfigError`] lists everything that is wrong, each with its place.
pub fn load(file: &Path, environment: &Environment) -> Result<Config, ConfigError> {
    let text = source::read(file)?;
    parse(file, &text, environment)
}

/// Turns what is wrong with the things that a configuration names, by key, into problems with places.
#[must_use]
pub fn locate(file: &Path, environment: &Environment, wrong: Vec<(String, String)>) -> ConfigError {
    let located = source::read(file).and_then(|text| {
        let source = Source::parse(file, &text, environment)?;
        Ok(source.error(wrong.into_iter().collect()))
    });
    located.unwrap_or_else(|error| error)
}

/// Whether the service has its keys from a copy that never changes while it runs, wherever else its
/// ring may be changed.
///
/// # Errors
/// [`ConfigError`] as with [`load`].
pub fn names_a_copy(file: &Path, environment: &Environment) -> Result<bool, ConfigError> {
    let text = source::read(file)?;
    let raw: raw::Config = Source::parse(file, &text, environment)?.read()?;
    let source = raw.keys.and_then(|keys| keys.source);
    Ok(source.is_some_and(|source| source.starts_with("credential:")))
}

/// Checks the text of a configuration file, without reading any file.
///
/// # Errors
/// [`ConfigError`] lists everything that is wrong, each with its place.
pub fn parse(file: &Path, text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    let source = Source::parse(file, text, environment)?;
    let raw: raw::Config = source.read()?;
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut problems = Problems::default();
    let config = check(raw, &folder, environment.credentials(), &mut problems);
    match (config, problems.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => Err(source.error(problems)),
    }
}

/// Checks section by section; a section that is wrong leaves a problem and no value.
fn check(
    raw: raw::Config,
    folder: &Path,
    credentials: Option<&Path>,
    problems: &mut Problems,
) -> Option<Config> {
    let identity = raw.identity.unwrap_or_default();
    let site = site::check(
        raw.listen,
        raw.admin_listen,
        raw.public_url,
        &raw.other_urls.unwrap_or_default(),
        raw.trusted_hops,
        problems,
    );
    let fronts = fronts::check(identity, site.as_ref(), folder, problems);
    let distributions =
        distribution::check(raw.distribution.unwrap_or_default(), site.as_ref(), problems);
    let handoff = handoff::check(raw.handoff, &distributions, site.as_ref(), folder, problems);
    let rules = rules::check(
        raw.rule.unwrap_or_default(),
        &distributions,
        &fronts.as_ref().map(Fronts::believed_issuers).unwrap_or_default(),
        problems,
    );
    let keys = keys::check(raw.keys, folder, credentials, problems);
    let rotation = rotation::check(raw.rotation, &distributions, site.as_ref(), problems);
    let viewer = viewer::check(raw.viewer, folder, site.as_ref(), problems);
    one_host::check(&distributions, &rules, (site.as_ref(), viewer.as_ref()), problems);
    let cors = cors::check(raw.cors.unwrap_or_default(), problems);
    let log = log::check(&raw.log.unwrap_or_default(), problems);
    let limits = limits::check(&raw.limits.unwrap_or_default(), problems);
    Some(Config {
        site: site?,
        fronts: fronts?,
        distributions,
        handoff: handoff.ok()?,
        rules,
        keys: keys?,
        rotation: rotation?,
        viewer,
        cors,
        log: log?,
        limits: limits?,
    })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
