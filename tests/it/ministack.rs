//! MiniStack: AWS's own interfaces, emulated by others, on a port of this machine.
//!
//! What it does not model (bad PEM, quotas, sizes, throttling, encryption) is asked of an endpoint that
//! answers what it is told to.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};

use crate::tools::{python_script, venv_program};

/// An AWS of this test's own, gone when dropped.
pub(crate) struct MiniStack {
    child: Child,
    port: u16,
}

impl MiniStack {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One that asks IAM before it does anything; its root is whoever gives an account's number as the
    /// ID of an access key.
    pub(crate) async fn start_with_iam() -> Self {
        Self::start_with(&[("AUTH", "true")]).await
    }

    /// One whose load balancers mint tokens as AWS's do, and the URL of their public keys.
    pub(crate) async fn start_with_load_balancers() -> (Self, String) {
        let program = || {
            let mut program = python_script("ministack_alb.py");
            program.stdout(Stdio::piped());
            program
        };
        let mut stack = Self::start_as(program, &[]).await;
        let output = stack.child.stdout.take().unwrap();
        let mut key_url = String::new();
        BufReader::new(output).read_line(&mut key_url).unwrap();
        (stack, key_url.trim_end().to_owned())
    }

    async fn start_with(more: &[(&str, &str)]) -> Self {
        let program = || {
            let mut program = Command::new(venv_program("ministack"));
            program.stdout(Stdio::null());
            program
        };
        Self::start_as(program, more).await
    }

    /// A port that is free now may be somebody else's a moment later: then with another one.
    async fn start_as(program: impl Fn() -> Command, more: &[(&str, &str)]) -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let name = format!("{}-{port}", std::process::id());
            let child = program()
                .env("GATEWAY_PORT", port.to_string())
                .env("BIND_HOST", "127.0.0.1")
                // Fixed ports, which only one at a time could have.
                .env("IOT_MTLS_ENABLED", "0")
                .env("SFTP_ENABLED", "0")
                .env("MINISTACK_VERSION", &name)
                .envs(more.iter().copied())
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut stack = Self { child, port };
            if stack.wait(&name).await {
                return stack;
            }
        }
        panic!("MiniStack does not start: run `make tools`");
    }

    /// Whether it serves; not whether something else does on that port.
    async fn wait(&mut self, name: &str) -> bool {
        let end = Instant::now() + Duration::from_mins(1);
        let health = format!("{}/_ministack/health", self.url());
        while Instant::now() < end && self.child.try_wait().unwrap().is_none() {
            if let Ok(answer) = reqwest::get(&health).await
                && answer.text().await.is_ok_and(|text| text.contains(name))
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
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
    config_as(url, "test", "test")
}

/// What AWS's clients are told to ask another address as somebody.
pub(crate) fn config_as(url: &str, access_key_id: &str, secret_access_key: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "tests");
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
