//! The demo's folder: the service's configuration, its keys, and the built-in page.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::places::{Places, Topology};
use crate::clock::{Clock as _, SystemClock};
use crate::demo::one_host::DATA;
use crate::demo::provider::Endpoints;
use crate::demo::sample::{Bucket, DATASETS, VOLUMES};
use crate::demo::views::{self, VIEWS};
use crate::keystore;
use crate::signing::{KeyKind, generate_pem};

/// An account that AWS gives to nobody, so that no real site can believe the stand-in.
pub(super) const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/edgemint-demo/0000000000000000";

pub(super) const CLIENT_ID: &str = "edgemintdemo";
const KEY_PAIR_ID: &str = "KDEMO";

/// Where Neuroglancer is served. Its client from PyPI runs under `/v/`, and calls the rest its token.
pub(super) const NEUROGLANCER: &str = "/v/demo/";

/// The built-in viewer's files.
const VIEWER: [(&str, &str); 4] = [
    ("index.html", include_str!("../../demo/assets/viewer/index.html")),
    ("app.js", include_str!("../../demo/assets/viewer/app.js")),
    ("style.css", include_str!("../../demo/assets/viewer/style.css")),
    ("icon.svg", include_str!("../../demo/assets/viewer/icon.svg")),
];

/// A folder for this demo alone, gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("edgemint-demo-{}", std::process::id()));
        // What an earlier demo of the same number left behind when it was killed.
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where the configuration is.
    pub(super) fn config_file(&self) -> PathBuf {
        self.0.join("edgemint.toml")
    }

    /// Writes everything that the service reads.
    pub(super) fn fill(&self, about: &About) -> anyhow::Result<()> {
        let id = KEY_PAIR_ID.parse()?;
        keystore::Folder::new(self.0.join("keys")).import(
            &id,
            &generate_pem(KeyKind::Rsa)?,
            SystemClock.now(),
        )?;
        let bundle = self.0.join("viewer");
        for (name, content) in VIEWER {
            write(&bundle.join(name), content)?;
        }
        write(&bundle.join("config.json"), &about.page())?;
        write(&self.config_file(), &about.service()?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, content));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// What the files tell of.
pub(super) struct About<'a> {
    pub(super) places: &'a Places,
    pub(super) provider: &'a Endpoints,
    /// Where the load balancer's public keys are served.
    pub(super) keys: SocketAddr,
    /// The folder of Neuroglancer's client.
    pub(super) neuroglancer: Option<&'a Path>,
}

impl About<'_> {
    /// What the built-in page has to know.
    fn page(&self) -> String {
        let base = |bucket| self.places.base(bucket);
        let datasets: Vec<Value> = DATASETS
            .iter()
            .map(|set| json!({ "name": set.name, "path": set.path, "lab": set.rule }))
            .collect();
        let views: Vec<Value> = VIEWS
            .iter()
            .map(|view| {
                let private = view.volumes().filter(|volume| volume.rule.is_some());
                let private =
                    private.map(|volume| format!("{}{}", base(volume.bucket), volume.path));
                json!({
                    "title": view.title,
                    "about": view.about,
                    "private": private.collect::<Vec<_>>(),
                    "fragment": view.fragment(&base),
                })
            })
            .collect();
        json!({
            "data_origin": base(Bucket::Data),
            "datasets": datasets,
            "neuroglancer": self.neuroglancer.map(|_| NEUROGLANCER),
            "views": views,
        })
        .to_string()
    }

    /// The service's configuration.
    fn service(&self) -> anyhow::Result<String> {
        let Self { places, provider, keys, .. } = self;
        let hops = match places.topology {
            Topology::SiblingHosts => 1,
            Topology::OneHost => 2,
        };
        let head = format!(
            r#"# Written by `edgemint demo`, and read by the service like any other configuration.
listen = "127.0.0.1:0"
public_url = "{viewer}"
trusted_hops = {hops}

[identity.alb]
region = "us-east-1"
signer = ["{ARN}"]
client = "{CLIENT_ID}"
groups = {{ issuer = "{issuer}" }}
public_key_url = "http://{keys}/{{kid}}"

[[identity.bearer]]
issuer = "{issuer}"
jwks_url = "{jwks}"
client = ["{CLIENT_ID}"]
token_use = "access"
groups = "cognito:groups"

[keys]
source = "dir:keys"

[viewer]
root = "viewer"
open_with = "{open_with}"
"#,
            viewer = places.viewer,
            open_with = if self.neuroglancer.is_some() { NEUROGLANCER } else { "/" },
            issuer = provider.issuer,
            jwks = provider.jwks,
        );
        let bundle = self.bundle()?;
        Ok(format!("{head}{bundle}{}{}", self.distributions(), self.rules()))
    }

    fn bundle(&self) -> anyhow::Result<String> {
        let Some(folder) = self.neuroglancer else { return Ok(String::new()) };
        let folder = folder.canonicalize().with_context(|| {
            format!("cannot find Neuroglancer's client in {}", folder.display())
        })?;
        anyhow::ensure!(
            folder.join("index.html").is_file(),
            "--neuroglancer {} holds no index.html; `sh src/demo/neuroglancer.sh` prints the folder that does",
            folder.display()
        );
        let root = json!(folder.to_str().context("the folder's name is not text")?);
        Ok(format!("\n[[viewer.bundle]]\npath = \"{NEUROGLANCER}\"\nroot = {root}\n"))
    }

    fn distributions(&self) -> String {
        let Places { topology, viewer, data, archive, .. } = self.places;
        match topology {
            Topology::SiblingHosts => [data, archive]
                .map(|host| format!("\n[[distribution]]\nhost = \"{host}\"\n"))
                .concat(),
            Topology::OneHost => {
                format!("\n[[distribution]]\nhost = \"{viewer}\"\npath = \"{DATA}\"\n")
            }
        }
    }

    fn rules(&self) -> String {
        [
            ("lab-a", r#"groups = ["lab-a"]"#, "Neuropil"),
            ("lab-b", r#"groups = ["lab-b"]"#, "Tissue"),
            ("atlas", r#"email_domains = ["atlas.example"]"#, "Atlas"),
            ("shared", r#"groups = ["lab-a", "lab-b"]"#, "Shared tissue"),
        ]
        .map(|(name, allow, volume)| self.rule(name, allow, volume))
        .concat()
    }

    /// A rule for a prefix, and the volume that stands for it on `/session`, if there is what shows it.
    fn rule(&self, name: &str, allow: &str, volume: &str) -> String {
        let base = |bucket| self.places.base(bucket);
        let Some(volume) = VOLUMES.iter().find(|known| known.name == volume) else {
            return String::new();
        };
        let rule = format!(
            r#"
[[rule]]
name = "{name}"
allow = {{ {allow} }}
resources = ["{base}/{name}/*"]
lifetime = "60s"
"#,
            base = base(volume.bucket),
        );
        if self.neuroglancer.is_none() {
            return rule;
        }
        let (title, source) = (volume.name, views::source(volume, &base));
        format!("{rule}title = \"{title}\"\nsource = \"{source}\"\nlayer = \"image\"\n")
    }
}
