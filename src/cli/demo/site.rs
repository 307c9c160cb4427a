//! The demo's site: the real service, between stand-ins, on a configuration file like any other's.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::thread;

use anyhow::Context as _;
use tokio::sync::watch;

use super::folder::{ARN, About, CLIENT_ID, Folder};
use super::places::{Places, Topology};
use crate::authn::{Fetcher, HttpFetcher, Reach};
use crate::clock::{Clock, SystemClock};
use crate::config::Environment;
use crate::demo::LoopbackListener;
use crate::demo::edge::{Edge, EdgeOptions, Objects, PublicBucket};
use crate::demo::load_balancer::{
    Action, ListenerRule, LoadBalancer, LoadBalancerOptions, OnUnauthenticated, SESSION_COOKIE,
    SESSION_SECONDS, redirect_uri, serve_public_keys,
};
use crate::demo::one_host::{DATA, OneHost};
use crate::demo::provider::{Client, Provider, ProviderOptions};
use crate::demo::sample::{Bucket, SampleData};
use crate::demo::tokens::ClaimsSigner;
use crate::policy::BaseUrl;
use crate::server::{AppState, Process, Server, Snapshot, Stopping};
use crate::signing::verify::TrustedKeys;

/// What a demo is started with.
#[derive(Clone)]
pub(super) struct Plan {
    /// The first of four ports, or any free ones.
    pub(super) port: Option<u16>,
    pub(super) topology: Topology,
    /// The folder of Neuroglancer's client.
    pub(super) neuroglancer: Option<PathBuf>,
}

/// A site that runs for as long as this value lives.
pub(super) struct Site {
    pub(super) places: Places,
    folder: Folder,
    _stop: watch::Sender<Stopping>,
}

struct Listeners {
    viewer: LoopbackListener,
    data: LoopbackListener,
    login: LoopbackListener,
    keys: LoopbackListener,
}

impl Site {
    /// Starts everything.
    pub(super) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let at = |offset| plan.port.map_or(0, |port| port.saturating_add(offset));
        let listeners = Listeners {
            viewer: LoopbackListener::bind(at(0)).await?,
            data: LoopbackListener::bind(at(1)).await?,
            login: LoopbackListener::bind(at(2)).await?,
            keys: LoopbackListener::bind(at(3)).await?,
        };
        let Listeners { viewer, data, login, .. } = &listeners;
        let places = Places::new(plan.topology, viewer, data, login)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let provider = provider(&places, login.address(), &clock)?;
        let folder = Folder::new()?;
        let about = About {
            places: &places,
            provider: provider.endpoints(),
            keys: listeners.keys.address(),
            neuroglancer: plan.neuroglancer.as_deref(),
        };
        folder.fill(&about)?;

        let snapshot = Snapshot::load(&folder.config_file(), &Environment::default())?;
        let trusted = trusted_keys(&snapshot);
        let (stop, stopping) = watch::channel(Stopping::No);
        let target = serve(snapshot, &folder, stopping)?;
        let stand_ins = StandIns { places: &places, target, provider, trusted, clock };
        stand_ins.start(listeners).await?;
        Ok(Self { places, folder, _stop: stop })
    }

    /// Where the configuration is.
    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.config_file()
    }
}

fn provider(
    places: &Places,
    address: SocketAddr,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<Provider>> {
    let client = Client {
        id: CLIENT_ID.to_owned(),
        secret: client_secret(),
        redirect_uris: vec![redirect_uri(&places.viewer)],
        logout_uris: vec![format!("{}/", places.viewer)],
    };
    let options = ProviderOptions {
        url: places.login.clone(),
        address,
        pool: "us-east-1_DEMO".to_owned(),
        clients: vec![client],
        access_token_seconds: 86_400,
    };
    Ok(Arc::new(Provider::new(options, clock.clone())?))
}

/// Known to everybody who reads this, like everything else that runs on the loopback interface only.
fn client_secret() -> String {
    "edgemint-demo".to_owned()
}

fn serve(
    snapshot: Snapshot,
    folder: &Folder,
    stopping: watch::Receiver<Stopping>,
) -> anyhow::Result<SocketAddr> {
    let fetcher: Arc<dyn Fetcher> =
        Arc::new(HttpFetcher::new(Reach::Laptop).context("cannot set up TLS")?);
    let state = AppState::new(snapshot, Arc::new(SystemClock), &fetcher);
    let process = Process::new(Environment::default(), Vec::new())?;
    let server = Server::bind(state, folder.config_file(), process)?;
    let address = server.local_address()?;
    tokio::spawn(server.serve(stopping));
    Ok(address)
}

fn trusted_keys(snapshot: &Snapshot) -> TrustedKeys {
    let active = snapshot.ring.iter().map(|ring| &ring.active);
    let trusted = active.map(|key| (key.id.to_string(), key.key.public().clone()));
    TrustedKeys::Group(trusted.collect())
}

/// Everything around the service.
struct StandIns<'a> {
    places: &'a Places,
    /// Where the service listens.
    target: SocketAddr,
    provider: Arc<Provider>,
    trusted: TrustedKeys,
    clock: Arc<dyn Clock>,
}

impl StandIns<'_> {
    async fn start(self, listeners: Listeners) -> anyhow::Result<()> {
        let signer = Arc::new(ClaimsSigner::generate()?);
        let balancer = self.balancer(&signer)?;
        let sample = Arc::new(SampleData::generate());
        let edge = self.edge(&sample);
        // Ready before anybody has signed in, mostly.
        thread::spawn(move || sample.draw_volumes());
        match self.places.topology {
            Topology::SiblingHosts => {
                tokio::spawn(balancer.serve(listeners.viewer, pending()));
                tokio::spawn(edge.serve(listeners.data, pending()));
            }
            Topology::OneHost => {
                // The load balancer is behind the distribution; the data port has the public bucket.
                let behind = LoopbackListener::bind(0).await?;
                let site = OneHost::new(edge.clone(), behind.address())?;
                tokio::spawn(balancer.serve(behind, pending()));
                tokio::spawn(site.serve(listeners.viewer, pending()));
                tokio::spawn(edge.serve(listeners.data, pending()));
            }
        }
        tokio::spawn(self.provider.serve(listeners.login, pending()));
        tokio::spawn(serve_public_keys(listeners.keys, vec![signer], pending()));
        Ok(())
    }

    fn balancer(&self, signer: &Arc<ClaimsSigner>) -> anyhow::Result<LoadBalancer> {
        let options = LoadBalancerOptions {
            url: self.places.viewer.clone(),
            target: self.target,
            arn: ARN.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: client_secret(),
            provider: self.provider.endpoints().clone(),
            cookie_name: SESSION_COOKIE.to_owned(),
            session_seconds: SESSION_SECONDS,
            rules: listener_rules(),
        };
        Ok(LoadBalancer::new(options, signer.clone(), self.clock.clone())?)
    }

    fn edge(&self, sample: &Arc<SampleData>) -> Edge {
        let trusted = Arc::new(RwLock::new(self.trusted.clone()));
        let distribution = |url: &BaseUrl, objects, may_list| EdgeOptions {
            url: url.clone(),
            trusted: trusted.clone(),
            allowed_origin: self.places.viewer.clone(),
            objects,
            may_list,
        };
        let bucket = |bucket| -> Objects {
            let sample = sample.clone();
            Arc::new(move |path| sample.get(bucket, path))
        };
        let clock = self.clock.clone();
        let Places { topology, viewer, data, archive, public, .. } = self.places;
        let edge = match topology {
            Topology::SiblingHosts => Edge::new(
                distribution(data, bucket(Bucket::Data), true),
                clock,
            )
            .and(distribution(archive, bucket(Bucket::Archive), false)),
            Topology::OneHost => {
                let (data, archive) = (bucket(Bucket::Data), bucket(Bucket::Archive));
                let both: Objects = Arc::new(move |path| {
                    let key = path.strip_prefix(DATA.trim_end_matches('/'))?;
                    data(key).or_else(|| archive(key))
                });
                Edge::new(distribution(viewer, both, true), clock)
            }
        };
        edge.and_public(PublicBucket { url: public.clone(), objects: bucket(Bucket::Public) })
    }
}

/// The rules that docs recommend for a real load balancer, behind those for Neuroglancer's client.
fn listener_rules() -> Vec<ListenerRule> {
    // What Neuroglancer's client, which is served under /v/demo/, asks of its Python server.
    let python = ["/events/", "/state/", "/action/"]
        .map(|prefix| ListenerRule { prefix: prefix.to_owned(), action: Action::PythonServer });
    let site = [
        ("/session/login", OnUnauthenticated::Authenticate),
        ("/session", OnUnauthenticated::Allow),
        ("/", OnUnauthenticated::Allow),
    ]
    .map(|(prefix, mode)| ListenerRule {
        prefix: prefix.to_owned(),
        action: Action::Authenticate(mode),
    });
    python.into_iter().chain(site).collect()
}
