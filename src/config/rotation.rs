//! `[rotation]`: what the commands under `edgemint keys` need to know of a site. The service itself
//! needs none of it.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::distribution::Distribution;
use super::quantity::duration_within;
use super::raw;
use super::site::Site;
use super::source::Problems;
use crate::policy::Resource;

/// What private keys in Parameter Store are encrypted under unless the configuration says otherwise.
pub const DEFAULT_KMS_KEY: &str = "alias/edgemint";

const DEFAULT_CLOCK_SKEW: u64 = 300;

/// What rotation needs to know of a site; each part is asked for when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The trusted key group.
    pub key_group: Option<KeyGroupId>,
    /// A small private object.
    pub probe: Option<ProbeUrl>,
    /// Where instances of the service answer.
    pub instances: Vec<Instance>,
    /// A load balancer's target group, by ARN.
    pub target_group: Option<TargetGroupArn>,
    /// What private keys in Parameter Store are encrypted under: an ID, ARN or alias.
    pub kms_key: String,
    /// How far the clocks of instances, edge and admin may differ.
    pub clock_skew: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            key_group: None,
            probe: None,
            instances: Vec::new(),
            target_group: None,
            kms_key: DEFAULT_KMS_KEY.to_owned(),
            clock_skew: Duration::from_secs(DEFAULT_CLOCK_SKEW),
        }
    }
}

/// The ID of a trusted key group, such as `6b9ee0b1-4e5e-4f4c-9d0b-4b8d1d3a7f7e`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGroupId(String);

/// A URL of one object, that only a signed request opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeUrl(Url);

/// Where one or several instances of the service answer: a name may have several addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance(Url);

/// The ARN of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroupArn(String);

impl KeyGroupId {
    /// Reads an ID.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let usable = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if usable {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is no ID of a key group; CloudFront shows it under Key groups"))
    }
}

impl ProbeUrl {
    /// Reads a URL: one object, without a pattern, a query or a fragment.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
        let resource = Resource::parse(text).map_err(|error| error.to_string())?;
        if resource.has_wildcard() || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text:?} is not the URL of one object"));
        }
        if url.as_str() != text {
            return Err(format!("browsers and CloudFront write this URL as {url}"));
        }
        Ok(Self(url))
    }

    /// The URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl Instance {
    /// Reads `http://10.0.1.5:8080` and the like.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no instance; write for example http://10.0.1.5:8080");
        let url = Url::parse(text).map_err(|_| wrong())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if bare && web { Ok(Self(url)) } else { Err(wrong()) }
    }

    /// The URL, with `/` for a path.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl TargetGroupArn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", _, "elasticloadbalancing", _, _, group]
                if group.starts_with("targetgroup/") =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is no target group; its ARN begins with arn:aws:elasticloadbalancing: and \
                 names a targetgroup/"
            )),
        }
    }
}

impl fmt::Display for KeyGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ProbeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for TargetGroupArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn check(
    raw: Option<raw::Rotation>,
    distributions: &[Distribution],
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<Rotation> {
    let raw = raw.unwrap_or_default();
    let p = problems;
    let key_group =
        raw.key_group.map(|text| p.take("rotation.key_group", KeyGroupId::parse(&text)));
    let probe = raw.probe.map(|text| p.take("rotation.probe", parse_probe(&text, distributions)));
    let instance = |(at, text): (usize, String)| {
        p.take(&format!("rotation.instances[{at}]"), parse_instance(&text, site))
    };
    let instances: Vec<_> =
        raw.instances.unwrap_or_default().into_iter().enumerate().map(instance).collect();
    let target_group =
        raw.target_group.map(|text| p.take("rotation.target_group", TargetGroupArn::parse(&text)));
    let skew = raw.clock_skew.as_ref();
    let clock_skew = duration_within("rotation.clock_skew", skew, DEFAULT_CLOCK_SKEW, 0..=3600, p);
    let kms_key = raw.kms_key.unwrap_or_else(|| DEFAULT_KMS_KEY.to_owned());
    let kms_key = p.take("rotation.kms_key", parse_kms_key(kms_key));
    Some(Rotation {
        key_group: key_group.map_or(Some(None), |value| value.map(Some))?,
        probe: probe.map_or(Some(None), |value| value.map(Some))?,
        instances: instances.into_iter().collect::<Option<_>>()?,
        target_group: target_group.map_or(Some(None), |value| value.map(Some))?,
        kms_key: kms_key?,
        clock_skew: clock_skew?,
    })
}

fn parse_probe(text: &str, distributions: &[Distribution]) -> Result<ProbeUrl, String> {
    let probe = ProbeUrl::parse(text)?;
    let origin = probe.url().origin().ascii_serialization();
    if distributions.iter().any(|distribution| distribution.base.as_str() == origin) {
        return Ok(probe);
    }
    Err(format!("no [[distribution]] has the host of {text}"))
}

/// The load balancer passes each question on to one of the instances, whose answer would stand for all.
fn parse_instance(text: &str, site: Option<&Site>) -> Result<Instance, String> {
    let instance = Instance::parse(text)?;
    let host = instance.url().host_str().unwrap_or_default();
    if site.is_some_and(|site| site.public_url.host() == host.trim_end_matches('.')) {
        return Err(format!(
            "{host} is the host of public_url, which leads to any one of the instances; write each \
             instance's own address, or set rotation.target_group in place of it"
        ));
    }
    Ok(instance)
}

fn parse_kms_key(text: String) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/:".contains(c);
    if text.is_empty() || text.len() > 2048 || !text.chars().all(allowed) {
        return Err(format!("{text:?} is no KMS key; write its ID, its ARN, or alias/NAME"));
    }
    if text.contains("alias/aws/") {
        return Err(format!(
            "everybody in the account can decrypt with {text}; deploy/iam/README.md shows how to make \
             a KMS key for edgemint alone"
        ));
    }
    Ok(text)
}
