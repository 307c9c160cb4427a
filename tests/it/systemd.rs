mod rotate;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use edgemint::clock::{Clock as _, SystemClock};
use edgemint::keystore::Folder;

use crate::process::Site;
use crate::support::{person, rsa_pem};

const PROGRAM: &str = env!("CARGO_BIN_EXE_edgemint");

const UNITS: [&str; 4] =
    ["edgemint.service", "edgemint.socket", "edgemint-rotate.service", "edgemint-rotate.timer"];

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run `make tools`"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn systemd_finds_nothing_to_say_about_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let copies = UNITS.map(|unit| {
        // The program is looked for where the unit says, so a copy says where it is here.
        let text = read(unit).replace("/usr/local/bin/edgemint", PROGRAM);
        let copy = folder.path().join(unit);
        std::fs::write(&copy, text).unwrap();
        copy
    });
    // It succeeds on keys that it does not know, and only says so.
    let verdict = run(Command::new("systemd-analyze").arg("verify").args(copies));
    let said = format!("{}{}", text(&verdict.stdout), text(&verdict.stderr));
    assert!(verdict.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_service_is_exposed_as_little_as_the_readme_says() {
    let arguments = ["security", "--offline=true", "--no-pager"];
    let verdict =
        run(Command::new("systemd-analyze").args(arguments).arg(deploy("edgemint.service")));
    let said = format!("{}{}", text(&verdict.stdout), text(&verdict.stderr));
    let exposure = |text: &str| -> f64 {
        let (_, level) = text.split_once("exposure level for edgemint.service: ").unwrap();
        level.split(' ').next().unwrap().parse().unwrap()
    };
    // Every version of systemd counts a little differently.
    let (stated, found) = (exposure(&read("README.md")), exposure(&said));
    assert!((found - stated).abs() < 0.15, "{found}, where the README says {stated}: {said}");
    assert!(found < 1.5, "{said}");
}

#[test]
fn the_readme_explains_every_line_of_the_units() {
    let readme = read("README.md");
    let mut missing = BTreeSet::new();
    for unit in UNITS {
        let unit = read(unit);
        let lines = unit.lines().filter(|line| !line.starts_with('#'));
        let keys = lines.filter_map(|line| line.split_once('=')).map(|(key, _)| key.to_owned());
        missing.extend(keys.filter(|key| !readme.contains(&format!("`{key}="))));
    }
    assert!(missing.is_empty(), "deploy/systemd/README.md lacks {missing:?}");
}

/// The program, started by `systemd-socket-activate` when the first connection comes.
struct Activated(Child);

impl Activated {
    fn start(site: &Site, port: u16, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("systemd-socket-activate");
        command.args(["-l", &format!("127.0.0.1:{port}")]);
        for (name, value) in variables {
            command.args(["-E", &format!("{name}={value}")]);
        }
        command.args([PROGRAM, "serve", "--config"]).arg(site.file());
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}: run `make tools`"));
        let activated = Self(child);
        for _ in 0..200 {
            if is_listening(port) {
                return activated;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("systemd-socket-activate does not listen");
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for the end and returns what was said.
    fn end(mut self) -> (i32, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code().unwrap_or(-1), said)
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether somebody listens, without connecting: a connection would start the program.
fn is_listening(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let address = format!("0100007F:{port:04X}");
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&address) && words.nth(1) == Some("0A")
    })
}

/// One request on a connection of its own, and the whole answer.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_credentials_and_readiness_are_taken_from_and_told_to_the_manager() {
    let site = Site::prepare().await;
    let folder = site.folder.path();
    // As systemd lays out LoadCredential=ring:keys.
    let credentials = folder.join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    for file in std::fs::read_dir(folder.join("keys")).unwrap() {
        let file = file.unwrap();
        let name = format!("ring_{}", file.file_name().to_str().unwrap());
        std::fs::rename(file.path(), credentials.join(name)).unwrap();
    }
    let socket = folder.join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let told = || {
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        text(&buffer[..length])
    };
    let variables = [
        ("EDGEMINT_KEYS__SOURCE", "credential:ring"),
        ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap()),
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
    ];
    let activated = Activated::start(&site, site.port, &variables);
    let answer = get(site.port, "/readyz").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("K2TESTKEY"), "{answer}");
    assert_eq!(told(), "READY=1");
    assert!(site.metrics().await.contains("K2TESTKEY"), "admin_listen is bound by the program");
    activated.signal("-TERM");
    assert_eq!(told(), "STOPPING=1");
    let (code, said) = activated.end();
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_may_listen_at_an_abstract_name_and_must_listen_at_all() {
    let site = Site::prepare().await;
    let name = format!("edgemint-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let start = || {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--config"]).arg(site.file()).stdout(Stdio::null());
        command.env("NOTIFY_SOCKET", format!("@{name}"));
        command
    };
    let mut child = start().spawn().unwrap();
    let mut buffer = [0; 64];
    let heard = manager.recv(&mut buffer);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(&buffer[..heard.unwrap()], b"READY=1");
    drop(manager);
    let output = start().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("cannot tell the service manager READY=1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_the_configuration_does_not_name_ends_the_program() {
    let site = Site::prepare().await;
    let other = Site::prepare().await.port;
    let activated = Activated::start(&site, other, &[]);
    let _ = get(other, "/readyz");
    let (code, said) = activated.end();
    assert_eq!(code, 2, "{said}");
    let expected = format!(
        "hands over a listener at 127.0.0.1:{other}, but listen is 127.0.0.1:{} and admin_listen is \
         127.0.0.1:{}",
        site.port, site.admin
    );
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_another_kind_ends_the_program() {
    let site = Site::prepare().await;
    let socket = site.folder.path().join("socket");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("-l").arg(&socket).args([PROGRAM, "serve", "--config"]).arg(site.file());
    let activated = Activated(command.stderr(Stdio::piped()).spawn().unwrap());
    for _ in 0..200 {
        if UnixStream::connect(&socket).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, said) = activated.end();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("something else than a TCP listener"), "{said}");
}

/// A systemd of its own, by `tests/tools/systemd.sh`, that listens where the site does.
struct Machine {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Machine {
    fn start(site: &Site) -> Self {
        let folder = site.folder.path().join("machine");
        let system = folder.join("system");
        std::fs::create_dir_all(system.join("edgemint.service.d")).unwrap();
        std::fs::create_dir_all(system.join("edgemint.socket.d")).unwrap();
        std::fs::create_dir_all(system.join("edgemint-rotate.service.d")).unwrap();
        std::fs::create_dir_all(folder.join("etc")).unwrap();
        // As in docs/FROM-CRON.md: the empty line takes the unit's own port away.
        let port = format!("[Socket]\nListenStream=\nListenStream=127.0.0.1:{}\n", site.port);
        let log = "StandardOutput=append:/run/test/log\nStandardError=append:/run/test/log\n";
        for (name, content) in [
            ("sysinit.target", "[Unit]\nDefaultDependencies=no\n"),
            ("basic.target", "[Unit]\nDefaultDependencies=no\n"),
            ("test.target", "[Unit]\nRequires=edgemint.socket\nAfter=edgemint.socket\n"),
            ("edgemint.socket", &read("edgemint.socket")),
            ("edgemint.socket.d/port.conf", &port),
            ("edgemint.service", &read("edgemint.service")),
            ("edgemint.service.d/log.conf", &format!("[Service]\n{log}")),
            ("edgemint-rotate.service", &read("edgemint-rotate.service")),
            ("edgemint-rotate.service.d/log.conf", &format!("[Service]\n{log}")),
        ] {
            std::fs::write(system.join(name), content).unwrap();
        }
        std::fs::copy(site.file(), folder.join("etc/edgemint.toml")).unwrap();
        let moved = std::fs::rename(site.folder.path().join("keys"), folder.join("etc/keys"));
        moved.unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/systemd.sh");
        let mut child = Command::new("sh")
            .arg(script)
            .args([&folder, Path::new(PROGRAM)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut machine = Self { child, input, output, folder };
        machine.await_socket();
        machine
    }

    fn await_socket(&mut self) {
        for _ in 0..200 {
            if self.ask("systemctl is-active edgemint.socket").0 == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{}", std::fs::read_to_string(self.folder.join("systemd.log")).unwrap());
    }

    /// Runs a command inside, and returns its exit code and what it said.
    fn ask(&mut self, command: &str) -> (i32, String) {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the machine ended: {said}");
            match line.strip_prefix("exit ") {
                Some(code) => return (code.trim().parse().unwrap(), said),
                None => said.push_str(&line),
            }
        }
    }

    /// Runs a command inside that must succeed.
    fn must(&mut self, command: &str) -> String {
        let (code, said) = self.ask(command);
        assert_eq!(code, 0, "{command}: {said}\n{}", self.log());
        said
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "systemd runs in namespaces here, which needs root: make test runs it as root"]
async fn under_systemd_the_first_connection_starts_the_service_in_its_sandbox() {
    let site = Site::prepare().await;
    let mut machine = Machine::start(&site);
    assert_ne!(machine.ask("systemctl is-active edgemint.service").0, 0, "nobody asked yet");
    let answer = get(site.port, "/readyz").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{}", machine.log());
    // The whole way: verification keys fetched, cookies signed, from within the sandbox.
    assert_eq!(site.cookies(person("Ada")).await.status(), 200);
    let status = machine.must("cat /proc/$(systemctl show -P MainPID edgemint.service)/status");
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_ne!(value("Uid"), "0");
    assert_eq!(value("CapEff"), "0000000000000000");
    assert_eq!(value("CapBnd"), "0000000000000000");
    assert_eq!(value("NoNewPrivs"), "1");
    assert_eq!(value("Seccomp"), "2");
    machine.must("systemctl reload edgemint.service");
    for _ in 0..100 {
        if machine.log().contains("reload.done") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no reload: {}", machine.log());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "systemd runs in namespaces here, which needs root: make test runs it as root"]
async fn under_systemd_a_restart_takes_new_keys_and_refuses_no_connection() {
    let site = Site::prepare().await;
    let etc = site.folder.path().join("machine/etc");
    std::fs::create_dir_all(&etc).unwrap();
    let next = etc.join("keys-next");
    Folder::new(next).import(&"K3NEXT".parse().unwrap(), &rsa_pem(), SystemClock.now()).unwrap();
    let mut machine = Machine::start(&site);
    assert!(get(site.port, "/readyz").unwrap().contains("K2TESTKEY"));
    machine.must("mv /etc/edgemint/keys /etc/edgemint/keys-before");
    machine.must("mv /etc/edgemint/keys-next /etc/edgemint/keys");
    let (restarted, port) = (AtomicBool::new(false), site.port);
    let ask = || {
        let mut outcomes = Vec::new();
        while !restarted.load(Ordering::SeqCst) && outcomes.len() < 10_000 {
            outcomes.push(get(port, "/healthz"));
            std::thread::sleep(Duration::from_millis(2));
        }
        outcomes
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for _ in 0..3 {
            machine.must("systemctl restart edgemint.service");
            std::thread::sleep(Duration::from_millis(100));
        }
        restarted.store(true, Ordering::SeqCst);
        asking.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let fine = |answer: &String| answer.starts_with("HTTP/1.1 200");
    let (answered, lost): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|outcome| outcome.as_ref().is_ok_and(fine));
    assert!(answered.len() > 50, "{} answers", answered.len());
    let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    assert!(!lost.iter().any(|outcome| outcome.as_ref().is_err_and(refused)), "{lost:?}");
    // On a busy machine, one may have opened its connection long before it sends its request.
    assert!(lost.len() <= 1, "{lost:?}");
    assert!(get(site.port, "/readyz").unwrap().contains("K3NEXT"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "systemd runs in namespaces here, which needs root: make test runs it as root"]
async fn under_systemd_a_wrong_configuration_stops_the_service_until_it_is_mended() {
    let site = Site::prepare().await;
    let mut machine = Machine::start(&site);
    machine.must("echo nonsense = 1 >>/etc/edgemint/edgemint.toml");
    assert_ne!(machine.ask("systemctl start edgemint.service").0, 0);
    assert!(machine.log().contains("nonsense"), "{}", machine.log());
    let _ = get(site.port, "/readyz");
    machine.must("sed -i /nonsense/d /etc/edgemint/edgemint.toml");
    machine.must("systemctl reset-failed edgemint.service edgemint.socket");
    machine.must("systemctl restart edgemint.socket edgemint.service");
    assert!(get(site.port, "/readyz").unwrap().starts_with("HTTP/1.1 200"), "{}", machine.log());
}
