use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};
use edgemint::clock::{Clock as _, SystemClock};
use edgemint::config::{DEFAULT_KMS_KEY, ParameterPath};
use edgemint::keystore::{Aws, Folder, Keystore, ParameterStore};
use edgemint::server::Follower;
use edgemint::signing::PrivateKey;
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::ministack::{MiniStack, config_for};
use crate::process::{Service, Site};
use crate::support::{App, person, rsa_pem};
use crate::tools::Tool;

const PROGRAM: &str = env!("CARGO_BIN_EXE_edgemint");

/// What a private key looks like in memory.
struct Marks(BTreeMap<String, Vec<u8>>);

/// What was found of them.
#[derive(Deserialize)]
struct Found {
    counts: BTreeMap<String, usize>,
    bytes: u64,
    places: Vec<String>,
}

impl Marks {
    /// Each line of the text, and the middle of each secret number, which its neighbours in memory
    /// cannot change: as DER has it, the highest byte first, and as libraries compute with it.
    fn of(pem: &str) -> Self {
        let mut marks = BTreeMap::new();
        let lines = pem.lines().filter(|line| line.len() >= 40 && !line.starts_with('-'));
        for (number, line) in lines.enumerate() {
            marks.insert(format!("text {number}"), line.as_bytes().to_vec());
        }
        let key = RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
        let numbers = [("d", key.d()), ("p", &key.primes()[0]), ("q", &key.primes()[1])];
        for (name, number) in numbers {
            let number = number.to_bytes_be();
            let middle = &number[32..64];
            marks.insert(format!("der {name}"), middle.to_vec());
            marks.insert(format!("parsed {name}"), middle.iter().rev().copied().collect());
        }
        // The public half is no secret: it shows that whoever looks would find.
        let modulus = key.n().to_bytes_be();
        marks.insert("public".to_owned(), modulus[32..64].iter().rev().copied().collect());
        Self(marks)
    }

    fn look(&self, child: &Child) -> Found {
        let hex = |mark: &[u8]| {
            mark.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
        };
        let marks: BTreeMap<&str, String> =
            self.0.iter().map(|(name, mark)| (name.as_str(), hex(mark))).collect();
        let mut tool = Tool::python("memory_marks.py");
        let request = json!({ "pid": child.id(), "marks": marks });
        tool.ask_all(&[request]).pop().unwrap()
    }
}

impl Found {
    fn of(&self, kind: &str) -> usize {
        self.counts.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, count)| count).sum()
    }

    fn assert_only_what_must_be(&self) {
        assert!(self.bytes > 1 << 20, "only {} bytes were seen", self.bytes);
        assert!(self.of("public") > 0, "the public half is there, or nothing was looked at");
        assert!(self.of("parsed") > 0, "the key is there in the form that signs");
        assert_eq!((self.of("text"), self.of("der")), (0, 0), "{:?}", self.places);
    }
}

/// The program under a shell that lets it dump as much core as it likes.
fn allowed_to_dump(folder: &Path, command: &[&str]) -> Child {
    let script = "ulimit -c unlimited && cd \"$0\" && exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(folder).args(command);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// Whether a signal makes a process leave a core dump. The runtime of Rust lets the first of a kind pass
/// that no memory access has caused.
fn dumps(mut child: Child, signal: &str) -> bool {
    let (id, end) = (child.id().to_string(), Instant::now() + Duration::from_secs(10));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "{signal} does not end it");
        Command::new("kill").args([signal, &id]).status().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(
        status.signal().is_some(),
        "{status}: `ulimit -c unlimited` must be allowed, as to root"
    );
    status.core_dumped()
}

/// Fails unless a process has told the system to write no core dump.
fn assert_forbidden(child: &Child) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
}

/// Waits until a process is past the shell and waits for something.
async fn wait_until_asleep(child: &Child, name: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        if status.contains(&format!("Name:\t{name}\n")) && status.contains("State:\tS") {
            return;
        }
        assert!(Instant::now() < end, "{status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_core_dump_even_where_the_system_would_write_one() {
    let folder = tempfile::tempdir().unwrap();
    let sleeper = allowed_to_dump(folder.path(), &["sleep", "60"]);
    wait_until_asleep(&sleeper, "sleep").await;
    // Where no process leaves one, only what the program asks of the system can be seen.
    let seen = dumps(sleeper, "-SEGV");
    for signal in ["-SEGV", "-ABRT"] {
        let site = Site::prepare().await;
        let file = site.file();
        let child =
            allowed_to_dump(folder.path(), &[PROGRAM, "serve", "--config", file.to_str().unwrap()]);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", site.port)).await.is_err() {
            assert!(Instant::now() < end, "the program does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_forbidden(&child);
        assert!(!dumps(child, signal), "{signal}, where dumps are seen: {seen}");
        // It waits for the key that somebody is to type or to pipe.
        let import = [PROGRAM, "keys", "import", "--key-pair-id", "K1", "-"];
        let child = allowed_to_dump(folder.path(), &import);
        wait_until_asleep(&child, "edgemint").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_forbidden(&child);
        assert!(!dumps(child, signal), "{signal}, where dumps are seen: {seen}");
    }
}

/// As a panic, a log line or a failed assertion would show them.
#[tokio::test]
async fn debug_of_everything_on_a_keys_way_shows_nothing_of_it() {
    let app = App::new();
    let snapshot = app.state.snapshot();
    let ring = snapshot.ring.clone().unwrap();
    let folder = Folder::new(app.folder.path().join("keys"));
    let credentials = Credentials::new("AKIAEXAMPLE", "secret-access-key", None, None, "tests");
    let aws = config_for("http://127.0.0.1:1").into_builder();
    let aws = aws.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let path = ParameterPath::parse("/edgemint/test").unwrap();
    let (client, aws) = (Aws::with(aws.clone()), Aws::with(aws));
    let store = ParameterStore::new(path, DEFAULT_KMS_KEY, &client).await;
    let follower = Follower::new(app.state.clone(), aws);
    let key = folder.key(ring.active.key.fingerprint()).unwrap();
    let failure = PrivateKey::from_pem(&rsa_pem().replace('A', "B")).unwrap_err();
    let shown = format!(
        "{snapshot:?} {ring:?} {key:?} {:?} {:?} {store:?} {:?} {client:?} {follower:?} {failure:?} {failure}",
        app.state,
        folder.read().unwrap(),
        Keystore::Folder(folder),
    );
    assert!(shown.contains(ring.active.key.fingerprint().as_str()), "{shown}");
    assert!(!shown.contains("secret-access-key"), "{shown}");
    let secret = RsaPrivateKey::from_pkcs8_pem(&rsa_pem()).unwrap();
    for number in [secret.d(), &secret.primes()[0], &secret.primes()[1]] {
        for digits in
            [number.to_string(), format!("{number:x}"), format!("{:?}", number.to_bytes_be())]
        {
            assert!(!shown.contains(&digits[8..40]), "{shown}");
        }
    }
    let pem = rsa_pem();
    for line in pem.lines().filter(|line| line.len() >= 40) {
        assert!(!shown.contains(line), "{shown}");
    }
}

/// What the program was started with, and what it said.
fn assert_nothing_said(service: &Service, pem: &str) {
    let process =
        |file: &str| std::fs::read(format!("/proc/{}/{file}", service.child.id())).unwrap();
    let said = [process("cmdline"), process("environ"), service.log().into_bytes()].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("serve"), "{said}");
    for line in pem.lines().filter(|line| line.len() >= 40) {
        assert!(!said.contains(line), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_from_a_folder_is_in_memory_only_in_the_form_that_signs() {
    let service = Service::start().await;
    let marks = Marks::of(&rsa_pem());
    marks.look(&service.child).assert_only_what_must_be();
    assert_eq!(service.cookies(person("Ada")).await.status(), 200);
    marks.look(&service.child).assert_only_what_must_be();
    assert_nothing_said(&service, &rsa_pem());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_from_parameter_store_is_in_memory_only_in_the_form_that_signs() {
    let stack = MiniStack::start().await;
    let path = ParameterPath::parse("/edgemint/test").unwrap();
    let aws = Aws::with(stack.config());
    let store = ParameterStore::new(path, DEFAULT_KMS_KEY, &aws).await;
    let store = Keystore::ParameterStore(store);
    let pem = rsa_pem().into();
    store.import(&"K1".parse().unwrap(), &pem, SystemClock.now()).await.unwrap();
    let mut site = Site::prepare().await;
    site.config = site.config.replace("dir:keys", "ssm:/edgemint/test");
    site.write_config(&site.config);
    site.environment = stack.environment().into();
    let service = Service::launch(site);
    service.wait_for("keys.changed").await;
    let marks = Marks::of(&pem);
    marks.look(&service.child).assert_only_what_must_be();
    assert_eq!(service.cookies(person("Ada")).await.status(), 200);
    marks.look(&service.child).assert_only_what_must_be();
    assert_nothing_said(&service, &pem);
}
