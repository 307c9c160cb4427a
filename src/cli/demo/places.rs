//! Where browsers find the parts of the demo's site.

use crate::demo::LoopbackListener;
use crate::demo::one_host::DATA;
use crate::demo::sample::Bucket;
use crate::policy::BaseUrl;

/// How hosts are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// The viewer on one host, private data on two beside it.
    SiblingHosts,
    /// Viewer and private data on one host, data under a path.
    OneHost,
}

/// The site's URLs.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) topology: Topology,
    pub(super) viewer: BaseUrl,
    /// The first distribution's host, where the data has hosts of its own.
    pub(super) data: BaseUrl,
    /// The second distribution's, likewise.
    pub(super) archive: BaseUrl,
    /// A bucket that everybody may read.
    pub(super) public: BaseUrl,
    /// The identity provider.
    pub(super) login: BaseUrl,
}

impl Places {
    pub(super) fn new(
        topology: Topology,
        viewer: &LoopbackListener,
        data: &LoopbackListener,
        login: &LoopbackListener,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            topology,
            viewer: url("viewer", viewer)?,
            data: url("data", data)?,
            archive: url("archive", data)?,
            public: url("public", data)?,
            login: url("login", login)?,
        })
    }

    /// The URL before the paths of a bucket's volumes, with no slash at the end.
    pub(super) fn base(&self, bucket: Bucket) -> String {
        let own = match bucket {
            Bucket::Data => &self.data,
            Bucket::Archive => &self.archive,
            Bucket::Public => return self.public.to_string(),
        };
        match self.topology {
            Topology::SiblingHosts => own.to_string(),
            Topology::OneHost => format!("{}{}", self.viewer, DATA.trim_end_matches('/')),
        }
    }

    /// All names, for a client that has to be told where they lead.
    pub(super) fn hosts(&self) -> [&str; 5] {
        [&self.viewer, &self.data, &self.archive, &self.public, &self.login].map(BaseUrl::host)
    }
}

fn url(name: &str, listener: &LoopbackListener) -> anyhow::Result<BaseUrl> {
    Ok(BaseUrl::parse(&format!("http://{name}.edgemint.localhost:{}", listener.port()))?)
}
