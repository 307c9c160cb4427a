//! MiniStack: AWS's own interfaces, emulated by others, on a port of this machine.
//!
//! What it does not model (bad PEM, quotas, sizes, throttling, permissions) is not tested here.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};

use crate::tools::venv_program;

/// An AWS of this test's own, gone when dropped.
pub(crate) struct MiniStack {
    child: Child,
    port: u16,
}

impl MiniStack {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(venv_program("ministack"))
            .env("GATEWAY_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stack = Self { child, port };
        stack.wait().await;
        stack
    }

    async fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        let health = format!("{}/_ministack/health", self.url());
        while reqwest::get(&health).await.is_err() {
            assert!(Instant::now() < end, "MiniStack does not start: run `make tools`");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What AWS's clients are told.
    pub(crate) fn config(&self) -> SdkConfig {
        config_for(&self.url())
    }

    /// What a program is told that finds AWS by itself.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        environment_for(&self.url())
    }
}

/// What AWS's clients are told to ask another address.
pub(crate) fn config_for(url: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// What a program is told to ask another address.
pub(crate) fn environment_for(url: &str) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", url.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
