//! Paths that nobody would type, against edgemint's files and nginx's, on the same tree.
//!
//! nginx serves the folder plainly: it decodes, tidies and follows what it finds. edgemint looks a path up
//! among the files that it read at the start. Where both answer 200 they must answer with the same bytes;
//! where only nginx does, the path must be one that edgemint refuses on purpose, for a reason of [`REASONS`];
//! and where only edgemint does, it is wrong.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use percent_encoding::percent_decode;

use super::*;

/// Seeded, so that a failure comes again.
const SEED: u64 = 0x5eed_0006;
const PATHS: usize = 4000;
/// Connections to each at once.
const AT_ONCE: usize = 8;

/// What no answer of edgemint's may hold: outside of the folder, and in it under a hidden name.
const OUTSIDE: &str = "OUTSIDE-THE-FOLDER";
const HIDDEN: &str = "UNDER-A-HIDDEN-NAME";

/// The files of the tree, each of which holds its own path.
const FILES: [&str; 9] = [
    "app.js",
    "APP.css",
    "assets/a b.js",
    "assets/chunk.3f2a1b4c.js",
    "assets/deep/er/x.wasm",
    "naïve.css",
    "two..dots.js",
    "100%25.txt",
    "docs/index.html",
];

/// A reason for which a path that nginx serves is refused.
type Reason = (&'static str, fn(&str) -> bool);

/// Why edgemint refuses what nginx serves, and how to tell by the path as it was sent.
const REASONS: [Reason; 5] = [
    // A browser resolves these itself, so that only an attack or a mistake sends them.
    ("dot segments", |path| segments(path).iter().any(|name| matches!(&name[..], b"." | b".."))),
    // nginx merges slashes. Two paths for one file make two entries in every cache.
    ("empty segments", |path| {
        let segments = segments(path);
        segments.iter().rev().skip(1).any(Vec::is_empty)
    }),
    // RFC 3986, section 2.2: data within a segment, and no name holds a slash.
    ("an encoded slash", |path| path.to_ascii_lowercase().contains("%2f")),
    // They are in no bundle: .git, .env.
    ("a hidden name", |path| segments(path).iter().any(|name| name.starts_with(b"."))),
    // What is put into the folder later is in no bundle that was loaded before.
    ("a link that came later", |path| segments(path).iter().any(|name| name == b"escape")),
];

/// The decoded segments of a target, without what stands behind `?` and `#`.
fn segments(target: &str) -> Vec<Vec<u8>> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let decoded: Vec<u8> = percent_decode(path.as_bytes()).collect();
    let rest = decoded.strip_prefix(b"/").unwrap_or(&decoded);
    rest.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
}

/// A linear congruential generator: the same walk at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }

    /// A target: a file's path or one made up, then bent.
    fn target(&mut self) -> String {
        let mut segments = self.segments();
        for _ in 0..self.below(4) {
            let at = self.below(segments.len() + 1);
            let odd = ["..", ".", "", ".git", ".env", "escape", "%00", "..;", "...", "a"];
            segments.insert(at, self.of(&odd).to_owned());
        }
        let bent: Vec<String> = segments.iter().map(|segment| self.bend(segment)).collect();
        let slash = self.of(&["/", "/", "/", "/", "/", "/", "/", "//", "/./", "%2f", "%5c", "\\"]);
        let mut target = format!("/{}", bent.join(slash));
        if self.one_in(12) {
            target.push_str(self.of(&[
                "/",
                "?",
                "?../../secret",
                "#x",
                "?a#b",
                "%20",
                ".",
                "%00.js",
                ";v=1",
            ]));
        }
        if self.one_in(400) {
            target = target.repeat(40);
        }
        target
    }

    fn segments(&mut self) -> Vec<String> {
        let climb = self.of(&["..", "%2e%2e", ".%2E", "%252e%252e", "..%c0%af", "%c0%ae%c0%ae"]);
        let path = match self.below(8) {
            0 => format!("{climb}/{climb}/secret/outside.txt"),
            1 => format!("assets/{climb}/{}", self.of(&FILES)),
            2 => self.of(&[".git/config", "escape/outside.txt", "docs/", "docs", ""]).to_owned(),
            _ => self.of(&FILES).to_owned(),
        };
        path.split('/').map(str::to_owned).collect()
    }

    /// Spells a segment otherwise: encoded once or twice, in part or as a whole, or in the other case.
    fn bend(&mut self, segment: &str) -> String {
        let how = self.below(10);
        if how == 4 {
            // As it stands, beyond ASCII too: no URL, and servers take it all the same.
            return segment.to_owned();
        }
        let mut bent = String::new();
        for byte in segment.bytes() {
            let (lower, upper) = (format!("{byte:02x}"), format!("{byte:02X}"));
            let plain = byte.is_ascii_alphanumeric() || b"._-%;".contains(&byte);
            match how {
                0 if self.one_in(3) => bent.extend(["%", &lower]),
                1 => bent.extend(["%", &upper]),
                2 if self.one_in(4) => bent.extend(["%25", &lower]),
                3 if byte.is_ascii() && self.one_in(6) => bent.push(char::from(byte ^ 0x20)),
                _ if plain => bent.push(char::from(byte)),
                // As browsers do.
                _ => bent.extend(["%", &upper]),
            }
        }
        bent
    }
}

/// Status and body of an answer; a connection that ends without one has status 0.
async fn get(address: SocketAddr, target: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut bytes).await
    };
    // Whoever refuses a request may close before it has read all of it.
    let _ = timeout(SOON, exchange).await.expect("an answer in time");
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (0, Vec::new());
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, bytes.split_off(end + 4))
}

/// A site whose viewer's folder is served by nginx too, beside a folder that nobody serves.
async fn start() -> Site {
    // What the shim changes is no file that nginx has.
    let config = CONFIG.replace("root = \"viewer\"\n", "root = \"viewer\"\nshim = \"off\"\n");
    let mut site = Site::of(&config);
    let viewer = site.viewer();
    for file in FILES {
        let path = viewer.join(file.replace("%25", "%"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("this is {file}")).unwrap();
    }
    for hidden in [".git/config", ".env"] {
        fs::create_dir_all(viewer.join(hidden).parent().unwrap()).unwrap();
        fs::write(viewer.join(hidden), HIDDEN).unwrap();
    }
    let outside = site.app.folder.path().join("secret");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("outside.txt"), OUTSIDE).unwrap();
    site.app.state.swap(App::load(&site.app.folder).unwrap());
    symlink(&outside, viewer.join("escape")).unwrap();

    let port = free_port();
    let text = format!(
        "server {{ listen 127.0.0.1:{port}; server_name {HOST}; root {}; }}",
        viewer.display()
    );
    site.web = Some(nginx::run(&text, port).await);
    site
}

/// What is wrong with a pair of answers, or the reason for which they may differ.
fn judge(
    target: &str,
    ours: &(u16, Vec<u8>),
    nginxs: &(u16, Vec<u8>),
) -> Result<&'static str, String> {
    let text = String::from_utf8_lossy(&ours.1);
    if text.contains(OUTSIDE) || text.contains(HIDDEN) {
        return Err(format!("{target} lets out what is not in the bundle"));
    }
    match (ours.0, nginxs.0) {
        (200, 200) if ours.1 == nginxs.1 => Ok("the same file"),
        (200, 200) => {
            Err(format!("{target}: {text} and not {}", String::from_utf8_lossy(&nginxs.1)))
        }
        (200, theirs) => Err(format!("{target} is served, and nginx says {theirs}")),
        (400 | 404 | 414, 200) => {
            let reason = REASONS.iter().find(|(_, applies)| applies(target));
            let reason = reason.map(|(name, _)| *name);
            reason.ok_or_else(|| format!("{target} is {}, and nginx serves it", ours.0))
        }
        (400 | 404 | 414, _) => Ok("refused by both"),
        (status, _) => Err(format!("{target} is answered with {status}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_paths_get_the_files_that_nginx_has_or_nothing() {
    let site = start().await;
    let (ours, nginxs) = (site.edgemint, SocketAddr::from((Ipv4Addr::LOCALHOST, site.port())));
    let mut random = Random(SEED);
    let plain = FILES.map(|file| format!("/{}", file.replace(' ', "%20").replace('ï', "%C3%AF")));
    let targets: Vec<String> =
        plain.into_iter().chain(std::iter::repeat_with(|| random.target()).take(PATHS)).collect();
    let mut asking = tokio::task::JoinSet::new();
    for part in 0..AT_ONCE {
        let targets: Vec<String> = targets.iter().skip(part).step_by(AT_ONCE).cloned().collect();
        asking.spawn(async move {
            let mut judged = Vec::new();
            for target in targets {
                let answers = (get(ours, &target).await, get(nginxs, &target).await);
                judged.push((judge(&target, &answers.0, &answers.1), answers.1.1));
            }
            judged
        });
    }
    let judged: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    let wrong: Vec<&String> =
        judged.iter().filter_map(|(verdict, _)| verdict.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{wrong:#?}", wrong.len(), judged.len());

    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (verdict, _) in &judged {
        *counts.entry(verdict.as_ref().unwrap()).or_default() += 1;
    }
    let enough = |name: &str| counts.get(name).copied().unwrap_or(0);
    assert!(enough("the same file") > 300 && enough("refused by both") > 300, "{counts:?}");
    for (reason, _) in REASONS {
        assert!(enough(reason) > 0, "{reason} never came up: {counts:?}");
    }
    // The traps are real: a server that serves plainly walks into them.
    for secret in [OUTSIDE, HIDDEN] {
        assert!(judged.iter().any(|(_, body)| body == secret.as_bytes()), "{secret}");
    }
}
