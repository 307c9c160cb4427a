use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[test]
fn everybody_sees_in_a_browser_what_is_theirs_and_nothing_else() {
    walk("demo_browser.mjs", "screenshots");
}

#[test]
fn pages_of_our_own_are_accessible_and_need_no_script() {
    walk("pages_browser.mjs", "screenshots-of-pages");
}

#[test]
fn pages_of_other_origins_ask_for_nothing_unless_they_are_named() {
    walk("origins_browser.mjs", "screenshots-of-origins");
}

#[test]
fn neuroglancer_shows_in_a_browser_what_is_somebodys_and_nothing_else() {
    let client = Command::new("sh").arg("src/demo/neuroglancer.sh").output().unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    let client = String::from_utf8(client.stdout).unwrap();
    for mode in [&[][..], &["--one-host"]] {
        let flags = [&["--neuroglancer", client.trim()], mode].concat();
        walk_with("neuroglancer_browser.mjs", "screenshots-of-neuroglancer", &flags);
    }
}

/// Has a browser walk through a demo of its own.
fn walk(script: &str, screenshots: &str) {
    walk_with(script, screenshots, &[]);
}

fn walk_with(script: &str, screenshots: &str, flags: &[&str]) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let screenshots = target().join(screenshots);
    let _ = fs::remove_dir_all(&screenshots);
    fs::create_dir_all(&screenshots).unwrap();

    let demo = Demo::start_with(flags);
    let walk = Command::new("node")
        .arg(tools.join(script))
        .arg(demo.viewer())
        .arg(&screenshots)
        .arg(demo.config_file())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&walk.stderr);
    assert!(walk.status.success(), "{said}\nThe demo said:\n{}", demo.log());
}

#[test]
fn a_demo_that_is_killed_listens_no_more() {
    let mut demo = Demo::start();
    demo.kill();
    assert_eq!(demo.open_ports(), [0_u16; 0]);
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let mut demo = Demo::start();
    assert_eq!(demo.files(), 1);
    assert!(demo.interrupt().success(), "{}", demo.log());
    assert_eq!(demo.open_ports(), [0_u16; 0]);
    assert_eq!(demo.files(), 0);
}

/// A demo with a folder of its own for temporary files; killed when dropped.
pub(crate) struct Demo {
    child: Child,
    /// The first of its four ports.
    pub(crate) port: u16,
    folder: TempDir,
    log: PathBuf,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = four_free_ports();
        let log = target().join(format!("demo-{port}.log"));
        let output = File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_edgemint"))
            .args(["demo", "--port", &port.to_string()])
            .args(flags)
            .env("TMPDIR", folder.path())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut demo = Self { child, port, folder, log };
        demo.wait_until_it_answers();
        demo
    }

    fn wait_until_it_answers(&mut self) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > patience;
            assert!(!over, "the demo does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            let host = format!("viewer.edgemint.localhost:{}", self.port);
            write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
            let mut status = [0; 12];
            stream.read_exact(&mut status).map(|()| status)
        };
        ask().is_ok_and(|status: [u8; 12]| status == *b"HTTP/1.1 200")
    }

    fn viewer(&self) -> String {
        format!("http://viewer.edgemint.localhost:{}", self.port)
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join(format!("edgemint-demo-{}/edgemint.toml", self.child.id()))
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What Ctrl-C does.
    fn interrupt(&mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap()
    }

    fn open_ports(&self) -> Vec<u16> {
        let refused = |port: &u16| {
            TcpStream::connect((Ipv4Addr::LOCALHOST, *port))
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        };
        (self.port..self.port + 4).filter(|port| !refused(port)).collect()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.log);
    }
}

/// The first of four, below the ports that systems hand out to whoever asks for any.
fn four_free_ports() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(std::process::id() % 4_000).unwrap() * 4;
    loop {
        let base = first + 4 * TRIED.fetch_add(1, Ordering::Relaxed);
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (base..base + 4).all(free) {
            return base;
        }
    }
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}
