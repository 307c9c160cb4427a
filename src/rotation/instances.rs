//! Which instances of the service there are, and what each of them signs with.
//!
//! An old key may go only when nobody signs with it any more, so everybody is asked: the instances
//! that the configuration names, each address that such a name resolves to, and all targets of a
//! load balancer's target group. Whoever cannot be asked counts as signing with the old key; nothing
//! is left out because it looks idle. A target that is *draining* still answers requests that it has
//! begun, one that is *unhealthy* or *unused* may be let in again at any time, and all three leave the
//! list when they are deregistered.
//!
//! Deployment caveats: a name server may hold back addresses of a name that has many, so that a
//! target group is the surer list. A name with an IPv6 address at which nobody listens has to be
//! replaced by the addresses at which somebody does.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_elasticloadbalancingv2::config::Region;
use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata as _;
use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetDescription, TargetGroup, TargetTypeEnum,
};
use aws_sdk_elasticloadbalancingv2::{Client, config};
use reqwest::header::{DATE, HeaderMap};
use serde::Deserialize;
use url::Host;

use super::root_cause;
use crate::clock::EpochSeconds;
use crate::config::{Instance, TargetGroupArn};
use crate::json::Object;
use crate::keystore::{Aws, AwsProblem};
use crate::signing::KeyPairId;

/// How long an instance may take to answer, and a name server.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The most bytes of an answer that are read.
const MAX_BYTES: usize = 16 * 1024;

/// One instance of the service, by the address it is asked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    at: SocketAddr,
    /// The name that it was found under.
    name: Option<String>,
    scheme: Scheme,
}

/// How an instance is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scheme {
    Http,
    Https,
    /// To a target of a load balancer, which does not look at certificates either. The question
    /// holds no secret. Whoever stands in between could claim that an instance has followed, and so
    /// have a key withdrawn too early; they could as well answer people in its place.
    HttpsUnverified,
}

/// What an instance says of itself.
#[derive(Debug, Clone)]
pub struct Report {
    /// The key that it signs with.
    pub key_pair_id: Option<String>,
    /// Whether it takes requests.
    pub ready: bool,
    /// The longest life of the cookies that it issues, in seconds.
    pub longest_lifetime: Option<u64>,
    /// The number of changes of the ring that it has read.
    pub ring_revision: Option<u64>,
    /// What its clock says.
    pub date: Option<EpochSeconds>,
}

/// Why instances are not known, or do not tell.
#[derive(Debug, thiserror::Error)]
pub enum InstancesError {
    /// The configuration names none.
    #[error(
        "nothing says where instances of the service answer; set rotation.target_group, or \
         rotation.instances such as [\"http://10.0.1.5:8080\"]"
    )]
    Unnamed,
    /// A name without an address.
    #[error("{name} of rotation.instances has no address: {why}")]
    Name {
        /// The name.
        name: String,
        /// What the name server says.
        why: String,
    },
    /// AWS refused, or could not be reached.
    #[error(transparent)]
    Aws(#[from] Box<AwsProblem>),
    /// No such target group.
    #[error(
        "there is no target group {0}, of rotation.target_group, in the account that these credentials \
         are for; `aws elbv2 describe-target-groups` shows the ARNs"
    )]
    NoTargetGroup(TargetGroupArn),
    /// A group that nobody is in.
    #[error(
        "nobody is registered in the target group {0}; is it the one of this service? Otherwise name \
         the instances in rotation.instances"
    )]
    NoTargets(TargetGroupArn),
    /// Targets whose addresses the group does not tell.
    #[error(
        "the target group {arn} {what}; register the instances by IP address, with HTTP or HTTPS, or \
         name them in rotation.instances in place of it"
    )]
    Targets {
        /// The target group.
        arn: TargetGroupArn,
        /// What is in the way.
        what: String,
    },
    /// Nobody answers.
    #[error(
        "{address} does not answer: {why}; it counts as signing with the old key until it does, or \
         until it is no longer named or registered"
    )]
    Unreachable {
        /// Which instance.
        address: Address,
        /// What the connection says.
        why: String,
    },
    /// Somebody answers otherwise than this service does.
    #[error("{address} answers /readyz otherwise than edgemint: {why}")]
    Stranger {
        /// Which instance.
        address: Address,
        /// What is odd.
        why: String,
    },
}

/// Finds all instances, each once. A name that resolves to several addresses is several instances.
///
/// # Errors
/// [`InstancesError`] where the list would be empty, or may lack somebody.
pub async fn find(
    instances: &[Instance],
    target_group: Option<&TargetGroupArn>,
    aws: &Aws,
) -> Result<Vec<Address>, InstancesError> {
    if instances.is_empty() && target_group.is_none() {
        return Err(InstancesError::Unnamed);
    }
    let mut found = Vec::new();
    for instance in instances {
        found.extend(resolve(instance).await?);
    }
    if let Some(arn) = target_group {
        found.extend(targets(arn, aws).await?);
    }
    // What the configuration names comes first, and is asked as it says.
    let mut once = BTreeMap::new();
    for address in found {
        once.entry(address.at).or_insert(address);
    }
    Ok(once.into_values().collect())
}

/// Asks an instance what it signs with: `GET /readyz`, whose answer is the same whether it is ready
/// or not. No redirect is followed and no proxy used: either would be somebody else.
///
/// # Errors
/// [`InstancesError::Unreachable`] without an answer in time, [`InstancesError::Stranger`] with one
/// that is not this service's.
pub async fn ask(address: &Address) -> Result<Report, InstancesError> {
    let unreachable = |error: reqwest::Error| InstancesError::Unreachable {
        address: address.clone(),
        why: why_not(&error),
    };
    let stranger = |why: String| InstancesError::Stranger { address: address.clone(), why };
    let client = address.client().map_err(unreachable)?;
    let mut response = client.get(address.url()).send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    if !matches!(status, 200 | 503) {
        return Err(stranger(format!("status {status}")));
    }
    let date = date_of(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(stranger(format!("more than {MAX_BYTES} bytes")));
        }
    }
    let report = parse(status, &body).map_err(stranger)?;
    Ok(Report { date, ..report })
}

/// When an answer was made, by the clock of who made it (RFC 9110 section 6.6.1).
pub(super) fn date_of(headers: &HeaderMap) -> Option<EpochSeconds> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(EpochSeconds(date.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

/// `/readyz`, as far as rotation reads it.
#[derive(Deserialize)]
struct Readiness {
    status: String,
    /// Null without a key, and never absent: other services say that they are ready, too.
    #[serde(deserialize_with = "Option::deserialize")]
    key_pair_id: Option<KeyPairId>,
    ring_revision: Option<u64>,
    longest_lifetime: Option<u64>,
}

fn parse(status: u16, body: &[u8]) -> Result<Report, String> {
    let parsed: Result<Object<Readiness>, _> = serde_json::from_slice(body);
    let Object(readiness) = parsed.map_err(|error| error.to_string())?;
    let ready = status == 200 && readiness.status == "ready";
    if ready && readiness.key_pair_id.is_none() {
        return Err("ready without a key".to_owned());
    }
    Ok(Report {
        key_pair_id: readiness.key_pair_id.map(String::from),
        ready,
        longest_lifetime: readiness.longest_lifetime,
        ring_revision: readiness.ring_revision,
        date: None,
    })
}

impl Address {
    fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https | Scheme::HttpsUnverified => "https",
        };
        match &self.name {
            Some(name) => format!("{scheme}://{name}:{}/readyz", self.at.port()),
            None => format!("{scheme}://{}/readyz", self.at),
        }
    }

    fn client(&self) -> reqwest::Result<reqwest::Client> {
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(concat!("edgemint/", env!("CARGO_PKG_VERSION")));
        if let Some(name) = &self.name {
            client = client.resolve(name, self.at);
        }
        if self.scheme == Scheme::HttpsUnverified {
            client = client.tls_danger_accept_invalid_certs(true);
        }
        client.build()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} ({name})", self.at),
            None => self.at.fmt(f),
        }
    }
}

async fn resolve(instance: &Instance) -> Result<Vec<Address>, InstancesError> {
    let url = instance.url();
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let wrong = |why: String| InstancesError::Name { name: instance.to_string(), why };
    let (host, port) = url
        .host()
        .zip(url.port_or_known_default())
        .ok_or_else(|| wrong("it has no host".to_owned()))?;
    let literal = |ip: IpAddr| vec![Address { at: (ip, port).into(), name: None, scheme }];
    let name = match host {
        Host::Ipv4(ip) => return Ok(literal(ip.into())),
        Host::Ipv6(ip) => return Ok(literal(ip.into())),
        Host::Domain(name) => name,
    };
    let looking = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name, port)));
    let found = looking.await.map_err(|_| wrong("no answer in time".to_owned()))?;
    let found = found.map_err(|error| wrong(error.to_string()))?;
    let named = |at| Address { at, name: Some(name.to_owned()), scheme };
    let found: Vec<_> = found.map(named).collect();
    if found.is_empty() { Err(wrong("no record".to_owned())) } else { Ok(found) }
}

async fn targets(arn: &TargetGroupArn, aws: &Aws) -> Result<Vec<Address>, InstancesError> {
    let client = client(arn, aws).await;
    let group = group(&client, arn).await?;
    let scheme = scheme(&group, arn)?;
    let on = arn.to_string();
    let health = client.describe_target_health().target_group_arn(&on).send().await;
    let health = health.map_err(|error| {
        AwsProblem::new("elasticloadbalancing:DescribeTargetHealth", &on, &error)
    })?;
    // In whatever state they are: see the head of this file.
    let targets = health.target_health_descriptions.unwrap_or_default();
    let targets = targets.iter().map(|described| {
        let target = described.target.as_ref();
        let at = target.and_then(|target| socket(target, group.port));
        let odd = || refuse(arn, format!("has a target without an IP address: {target:?}"));
        at.map(|at| Address { at, name: None, scheme }).ok_or_else(odd)
    });
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    if targets.is_empty() {
        return Err(InstancesError::NoTargets(arn.clone()));
    }
    Ok(targets)
}

/// A client for the Region of the target group, which need not be that of the keys.
async fn client(arn: &TargetGroupArn, aws: &Aws) -> Client {
    let setup = aws.patient().await;
    let arn = arn.to_string();
    let region = arn.split(':').nth(3).filter(|region| !region.is_empty());
    let mut config = config::Builder::from(&setup);
    if let Some(region) = region {
        config = config.region(Region::new(region.to_owned()));
    }
    Client::from_conf(config.build())
}

async fn group(client: &Client, arn: &TargetGroupArn) -> Result<TargetGroup, InstancesError> {
    let on = arn.to_string();
    match client.describe_target_groups().target_group_arns(&on).send().await {
        Ok(answer) => {
            let groups = answer.target_groups.unwrap_or_default();
            let found = groups.into_iter().find(|group| group.target_group_arn() == Some(&on));
            found.ok_or_else(|| InstancesError::NoTargetGroup(arn.clone()))
        }
        Err(error) if error.code() == Some("TargetGroupNotFound") => {
            Err(InstancesError::NoTargetGroup(arn.clone()))
        }
        Err(error) => {
            let call = "elasticloadbalancing:DescribeTargetGroups";
            Err(AwsProblem::new(call, &on, &error).into())
        }
    }
}

/// How the load balancer speaks to the targets, if their addresses can be told.
fn scheme(group: &TargetGroup, arn: &TargetGroupArn) -> Result<Scheme, InstancesError> {
    match group.target_type() {
        Some(TargetTypeEnum::Ip) => {}
        other => {
            let kind = other.map_or("nothing", TargetTypeEnum::as_str);
            return Err(refuse(arn, format!("registers by {kind}, not by IP address")));
        }
    }
    match group.protocol() {
        Some(ProtocolEnum::Http) => Ok(Scheme::Http),
        Some(ProtocolEnum::Https) => Ok(Scheme::HttpsUnverified),
        other => {
            let protocol = other.map_or("nothing", ProtocolEnum::as_str);
            Err(refuse(arn, format!("speaks {protocol} to its targets")))
        }
    }
}

fn refuse(arn: &TargetGroupArn, what: String) -> InstancesError {
    InstancesError::Targets { arn: arn.clone(), what }
}

fn socket(target: &TargetDescription, port: Option<i32>) -> Option<SocketAddr> {
    let ip: IpAddr = target.id()?.parse().ok()?;
    let port = u16::try_from(target.port().or(port)?).ok()?;
    Some((ip, port).into())
}

fn why_not(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("nothing came within {} s", TIMEOUT.as_secs());
    }
    root_cause(error)
}
