use std::path::Path;
use std::process::{Command, Output};

use axum::body::Body;
use axum::http::Method;
use edgemint::identity::dialect::BEARER;
use serde_json::{Value, json};

use crate::browser::Demo;
use crate::minter::{Minter, site};
use crate::support::{Answer, App, CLIENT, CONFIG, ISSUER, NOW, bare, person};
use crate::tools::venv_program;

const COOKIE_FILE: &str = "application/x-netscape-cookie-file";

/// A site that believes bearer tokens beside its load balancer, and one whose group opens two labs.
struct Scripts {
    app: App,
    minter: Minter,
}

impl Scripts {
    fn new() -> Self {
        let config = CONFIG.replacen(
            "[[distribution]]",
            &format!("{}\n\n[[distribution]]", site(&BEARER).table),
            1,
        );
        let app = App::with(&config);
        let minter = Minter::new(&BEARER);
        app.source.serve(site(&BEARER).keys, &minter.published());
        Self { app, minter }
    }

    fn token(&self, groups: &[&str]) -> String {
        self.minter.mint_with(NOW, &json!({}), &json!({ "groups": groups }))
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_of(&["lab-a"], path, headers).await
    }

    async fn ask_of(&self, groups: &[&str], path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = bare(Method::POST, path)
            .header("authorization", format!("Bearer {}", self.token(groups)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.app.send(request.body(Body::empty()).unwrap()).await
    }
}

fn opens(cookies: &str, url: &str, app: &App) {
    let snapshot = app.state.snapshot();
    let active = &snapshot.ring.as_ref().unwrap().active;
    let keys = [(active.id.to_string(), active.key.public().clone())];
    let request = edgemint::signing::verify::EdgeRequest { url, cookies, source: None, now: NOW };
    let trusted = edgemint::signing::verify::TrustedKeys::Group(keys.into_iter().collect());
    edgemint::signing::verify::verify(&request, &trusted).unwrap();
}

#[tokio::test]
async fn a_script_gets_the_summary_and_its_cookies_as_json() {
    let scripts = Scripts::new();
    for accept in [None, Some("*/*"), Some("application/json")] {
        let headers: Vec<_> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let answer = scripts.ask("/session/cookies", &headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store, private");
        let varies = answer.headers.get_all("vary").iter();
        assert!(varies.map(|by| by.to_str().unwrap()).any(|by| by.contains("Accept")));
        assert!(answer.set_cookies().is_empty(), "what is in the body is not set as well");
        let body = answer.json();
        assert_eq!(body["resources"], json!(["https://data.example.org/lab-a/*"]));
        assert_eq!(body["expires_in"], 3600);
        let cookies = body["cookies"].as_array().unwrap();
        for cookie in cookies {
            let place = [&cookie["domain"], &cookie["path"], &cookie["secure"], &cookie["expires"]];
            let expected =
                [json!("data.example.org"), json!("/lab-a/"), json!(true), json!(NOW.plus(3600))];
            assert_eq!(place, [&expected[0], &expected[1], &expected[2], &expected[3]]);
        }
        let text = |field: &Value| field.as_str().unwrap().to_owned();
        let pairs: Vec<String> = cookies
            .iter()
            .map(|cookie| format!("{}={}", text(&cookie["name"]), text(&cookie["value"])))
            .collect();
        opens(&pairs.join("; "), "https://data.example.org/lab-a/x", &scripts.app);
    }
}

#[tokio::test]
async fn the_page_about_a_token_offers_no_sign_out_and_says_how_cookies_are_had() {
    let scripts = Scripts::new();
    let request = bare(Method::GET, "/session")
        .header("authorization", format!("Bearer {}", scripts.token(&["lab-a"])))
        .header("accept", "text/html");
    let page = scripts.app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(page.status, 200);
    let html = page.text();
    assert!(html.contains("a bearer token") && html.contains("POST /session/cookies"), "{html}");
    for untrue in ["Sign out", "Opening the viewer", "this browser"] {
        assert!(!html.contains(untrue), "{untrue}: {html}");
    }
}

#[tokio::test]
async fn one_set_as_text_is_one_header_line() {
    let scripts = Scripts::new();
    let answer = scripts.ask("/session/cookies", &[("accept", "text/plain")]).await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let text = answer.text();
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{text}");
    opens(line.strip_prefix("Cookie: ").unwrap(), "https://data.example.org/lab-a/x", &scripts.app);
}

#[tokio::test]
async fn several_sets_as_text_stand_below_their_places_and_for_chooses_one() {
    let scripts = Scripts::new();
    let text = [("accept", "text/plain")];
    let both = scripts.ask_of(&["lab-a", "lab-b"], "/session/cookies", &text).await.text();
    let lines: Vec<&str> = both.lines().collect();
    let [place_a, cookies_a, place_b, cookies_b] = lines[..] else { panic!("{both}") };
    let places = [place_a, place_b];
    assert_eq!(places, ["# https://data.example.org/lab-a/", "# https://data.example.org/lab-b/"]);
    for (line, lab) in [(cookies_a, "lab-a"), (cookies_b, "lab-b")] {
        let url = format!("https://data.example.org/{lab}/x");
        opens(line.strip_prefix("Cookie: ").unwrap(), &url, &scripts.app);
    }
    let path = "/session/cookies?for=https://data.example.org/lab-b/x";
    let one = scripts.ask_of(&["lab-a", "lab-b"], path, &text).await.text();
    assert_eq!(one.lines().count(), 1, "{one}");
}

#[tokio::test]
async fn a_cookie_file_holds_every_set() {
    let scripts = Scripts::new();
    let accept = [("accept", COOKIE_FILE)];
    let answer = scripts.ask_of(&["lab-a", "lab-b"], "/session/cookies", &accept).await;
    assert_eq!(answer.header("content-type"), COOKIE_FILE);
    let text = answer.text();
    assert!(text.starts_with("# Netscape HTTP Cookie File\n"), "{text}");
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains("data.example.org\tFALSE\t/lab-b/\tTRUE\t"), "{text}");
}

#[tokio::test]
async fn a_format_that_there_is_not_is_406_and_signs_nothing() {
    let scripts = Scripts::new();
    let answer = scripts.ask("/session/cookies", &[("accept", "image/png")]).await;
    assert_eq!(answer.status, 406);
    assert_eq!(answer.json()["type"], "urn:edgemint:problem:not-acceptable");
    let metrics = scripts.app.state.metrics_text();
    assert!(metrics.contains("edgemint_signatures_total 0"), "{metrics}");
}

#[tokio::test]
async fn whatever_is_accepted_is_answered_or_refused() {
    let scripts = Scripts::new();
    let many = "a/b,".repeat(4000);
    let behind_many = format!("{many}application/json");
    let deep = format!("application/json{}", ";q=1".repeat(4000));
    for (accept, status) in [
        (many.as_str(), 406),
        (&behind_many, 406),
        (&deep, 200),
        (";;;,,,;q=", 406),
        ("/", 406),
        ("*/*;q=nan", 406),
        ("*/*;q=inf", 406),
        ("*/*;q=-1", 406),
        ("*/*;q=0.0004", 406),
        ("*/*; Q=1.0", 200),
        ("application/json\t;\tq=1", 200),
    ] {
        let answer = scripts.ask("/session/cookies", &[("accept", accept)]).await;
        assert_eq!(answer.status, status, "{}", &accept[..accept.len().min(40)]);
    }
    let bytes = axum::http::HeaderValue::from_bytes(b"application/json\xff").unwrap();
    let token = format!("Bearer {}", scripts.token(&["lab-a"]));
    let request = bare(Method::POST, "/session/cookies")
        .header("authorization", token)
        .header("accept", bytes);
    let answer = scripts.app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 406);
}

/// `HttpOnly` is worth nothing once a page's script can read the values in an answer.
#[tokio::test]
async fn cookie_values_are_in_no_answer_to_a_browser() {
    let scripts = Scripts::new();
    let app = &scripts.app;
    let ada = person("Ada");
    for accept in ["application/json", "text/plain", COOKIE_FILE, "text/html", "*/*"] {
        let mut answers = vec![
            app.with_headers(ada, Method::POST, "/session/cookies", &[("accept", accept)]).await,
            app.with_headers(ada, Method::GET, "/session/cookies", &[("accept", accept)]).await,
        ];
        // A page with a token: what a browser adds, no script can leave out.
        for header in [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("origin", "https://viewer.example.org"),
        ] {
            answers.push(scripts.ask("/session/cookies", &[("accept", accept), header]).await);
        }
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-type"), "application/json", "{accept}");
            assert_eq!(answer.json()["cookies"], Value::Null);
            let lines = answer.set_cookies();
            assert_eq!(lines.len(), 4, "{accept}");
            for line in lines.iter().filter(|line| line.starts_with("CloudFront-")) {
                let value = line.split(['=', ';']).nth(1).unwrap();
                assert!(!answer.text().contains(value), "{accept}: {}", answer.text());
            }
        }
    }
}

/// The load balancer's word comes first: its people have browsers.
#[tokio::test]
async fn whoever_is_signed_in_and_has_a_token_besides_gets_no_values() {
    let bearer = format!(
        "[[identity.bearer]]\nissuer = \"{ISSUER}\"\nclient = [\"{CLIENT}\"]\n\n[[distribution]]"
    );
    let app = App::with(&CONFIG.replacen("[[distribution]]", &bearer, 1));
    let ada = person("Ada");
    let token = format!("Bearer {}", app.access_token(ada));
    let headers = [("authorization", token.as_str()), ("accept", "text/plain")];
    let answer = app.with_headers(ada, Method::POST, "/session/cookies", &headers).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 4));
    assert_eq!(answer.json()["cookies"], Value::Null);
    let alone = bare(Method::POST, "/session/cookies").header("authorization", token);
    let alone = app.send(alone.body(Body::empty()).unwrap()).await;
    assert_eq!((alone.status.as_u16(), alone.set_cookies().len()), (200, 0));
    assert_eq!(alone.json()["cookies"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_script_is_told_what_kind_of_credential_is_wanted() {
    let scripts = Scripts::new();
    let app = &scripts.app;
    let nobody = app.anonymous(Method::POST, "/session/cookies").await;
    assert_eq!((nobody.status.as_u16(), nobody.header("www-authenticate")), (401, "Bearer"));
    let request =
        bare(Method::POST, "/session/cookies").header("authorization", "Bearer of.bad.news");
    let refused = app.send(request.body(Body::empty()).unwrap()).await;
    let challenge = "Bearer error=\"invalid_token\"";
    assert_eq!((refused.status.as_u16(), refused.header("www-authenticate")), (401, challenge));
    let without = App::new().anonymous(Method::POST, "/session/cookies").await;
    assert_eq!((without.status.as_u16(), without.header("www-authenticate")), (401, ""));
}

#[tokio::test]
async fn clearing_is_the_same_for_scripts() {
    let scripts = Scripts::new();
    let request = bare(Method::DELETE, "/session/cookies")
        .header("authorization", format!("Bearer {}", scripts.token(&["lab-a"])));
    let answer = scripts.app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
}

/// What the README shows scripts, in their languages, with the ports of a demo.
struct Shown {
    section: String,
    folder: tempfile::TempDir,
}

impl Shown {
    fn for_demo(demo: &Demo) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(root.join("README.md")).unwrap();
        let (_, rest) = text.split_once("\n## For scripts\n").unwrap();
        let mut section = rest.split("\n## ").next().unwrap().to_owned();
        for (shown, offset) in [(":8080/", 0), (":8081/", 1), (":8082/", 2)] {
            assert!(section.contains(shown), "{shown}");
            section = section.replace(shown, &format!(":{}/", demo.port + offset));
        }
        Self { section, folder: tempfile::tempdir().unwrap() }
    }

    fn blocks(&self, language: &str) -> Vec<&str> {
        let opening = format!("```{language}\n");
        let parts = self.section.split(opening.as_str()).skip(1);
        parts.map(|part| part.split("```").next().unwrap()).collect()
    }

    fn python(&self, code: &str) -> String {
        let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/loopback_names");
        let mut python = Command::new(venv_program("python"));
        python.arg("-c").arg(code).env("PYTHONPATH", names);
        self.output(python, code)
    }

    fn shell(&self, code: &str, token: &str) -> String {
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(code).env("TOKEN", token);
        self.output(shell, code)
    }

    fn output(&self, mut command: Command, code: &str) -> String {
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        let Output { status, stdout, stderr } =
            command.current_dir(self.folder.path()).output().unwrap();
        assert!(status.success(), "{}\n{code}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn token(&self, of: &str) -> String {
        let blocks = self.blocks("python");
        let code = blocks[2].replace("Ada", of);
        self.python(&format!("{code}\nprint(token)")).trim().to_owned()
    }
}

#[test]
fn the_examples_in_the_readme_read_a_private_file_through_the_demos_edge() {
    let demo = Demo::start();
    let shown = Shown::for_demo(&demo);
    let [requests, fsspec, token] = shown.blocks("python")[..] else { panic!("{}", shown.section) };
    assert_eq!(requests.lines().count(), 5, "in five lines:\n{requests}");
    for example in [requests, fsspec] {
        let said = shown.python(&format!("{token}\n{example}"));
        assert!(said.contains("multiscales") && said.contains("Neurons"), "{said}");
    }
    let [commands] = shown.blocks("console")[..] else { panic!("{}", shown.section) };
    let commands = commands.trim_start_matches("$ ").replace("\n$ ", "\n");
    let said = shown.shell(&commands.replace("curl ", "curl -sSf "), &shown.token("Ada"));
    assert!(said.contains("multiscales"), "{said}");

    let refused = shown.python(
        &format!("{}\n{requests}", token.replace("Ada", "Ben"))
            .replace(".json())\n", ".status_code)\n"),
    );
    assert_eq!(refused.trim(), "403", "Ben reads nothing of lab A's");
}

#[test]
fn curl_and_python_read_our_cookie_files_and_header_lines() {
    let demo = Demo::start();
    let shown = Shown::for_demo(&demo);
    let token = shown.token("Chen");
    let viewer = format!("http://viewer.edgemint.localhost:{}/session/cookies", demo.port);
    let data = format!("http://data.edgemint.localhost:{}", demo.port + 1);
    let ask = |accept: &str, query: &str, file: &str| {
        let code = format!(
            "curl -sSf -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Accept: {accept}' -o {file} '{viewer}{query}'"
        );
        shown.shell(&code, &token);
    };
    ask(COOKIE_FILE, "", "cookies.txt");
    let lab_b = format!("{data}/lab-b/cells.zarr/.zattrs");
    ask("text/plain", &format!("?for={lab_b}"), "headers.txt");
    for (code, opens) in [
        (format!("curl -sS -b cookies.txt {data}/lab-a/neurons.zarr/.zattrs"), true),
        (format!("curl -sS -b cookies.txt {lab_b}"), true),
        (format!("curl -sS -b cookies.txt {data}/atlas/section.zarr/.zattrs"), false),
        (format!("curl -sS -H @headers.txt {lab_b}"), true),
        (format!("curl -sS -H @headers.txt {data}/lab-a/neurons.zarr/.zattrs"), false),
    ] {
        let said = shown.shell(&code, "");
        assert_eq!(said.contains("multiscales"), opens, "{code}: {said}");
    }
    let code = format!(
        "import http.cookiejar, urllib.request\n\
         jar = http.cookiejar.MozillaCookieJar('cookies.txt')\n\
         jar.load()\n\
         opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))\n\
         print(opener.open('{lab_b}').read())"
    );
    assert!(shown.python(&code).contains("multiscales"));
}
