use super::nginx::{PAGES, run};
use super::*;
use crate::support::person;

/// What the cron job leaves: one cookie for everybody, in nginx's own configuration.
fn with_the_shared_cookie(site: &Site, port: u16) -> String {
    let add = |name: &str| {
        format!(
            "add_header Set-Cookie \"CloudFront-{name}=shared; Path=/; Domain=.example.org; Secure; \
             HttpOnly\" always;\n"
        )
    };
    let cookies = ["Policy", "Signature", "Key-Pair-Id"].map(add).concat();
    let root = site.viewer().display().to_string();
    format!(
        "server {{\nlisten 127.0.0.1:{port};\nserver_name {HOST};\nroot {root};\nindex index.html;\n\
         {cookies}location / {{ try_files $uri /index.html; }}\n}}\n"
    )
}

/// Why docs/FROM-CRON.md replaces nginx before the load balancer lets anybody reach `/session/`.
#[tokio::test]
async fn only_the_old_configuration_gives_cookies_to_whoever_asks() {
    let mut site = Site::of(CONFIG);
    let paths = ["/session/x", "/session", "/session/cookies", "/session/login", "/readyz", "/"];
    let given = async |site: &Site, path: &str| {
        let mut count = 0;
        for headers in [NAVIGATION, SCRIPT] {
            let answer = site.browser(None).ask("GET", path, headers).await;
            count += answer.all("set-cookie").filter(|line| line.contains("CloudFront-")).count();
        }
        count
    };
    let port = free_port();
    site.web = Some(run(&with_the_shared_cookie(&site, port), port).await);
    for path in paths {
        assert_eq!(given(&site, path).await, 6, "{path}");
    }
    // What the load balancer's health check asks for while it is this one's turn.
    assert_eq!(site.browser(None).fetch("/readyz").await.status, 200);

    let port = free_port();
    site.web = Some(run(&site.shipped(PAGES, "listen 8080", port), port).await);
    for path in paths {
        assert_eq!(given(&site, path).await, 0, "{path}");
    }
}

/// The steps of docs/FROM-CRON.md, there and back, in a browser that comes at each of them and in one
/// that comes late.
#[tokio::test]
async fn moving_from_the_shared_cookie_leaves_no_two_sets_that_overlap() {
    let everything = "[[rule]]\nname = \"as before\"\nallow = { everyone = true }\n\
                      resources = [\"https://data.example.org/*\"]\nlifetime = \"24h\"\n\n";
    let (head, rest) = CONFIG.split_once("[[rule]]").unwrap();
    let wide = format!("{head}{everything}{}", &rest[rest.find("[keys]").unwrap()..]);
    let root = BTreeSet::from(["/".to_owned()]);
    let lab_a = BTreeSet::from(["/lab-a/".to_owned()]);

    let mut site = Site::of(&wide);
    let old = async |site: &mut Site| {
        let port = free_port();
        site.web = Some(run(&with_the_shared_cookie(site, port), port).await);
    };
    let new = async |site: &mut Site, include: &str| {
        let port = free_port();
        let pages = "location ~ (/|\\.html?)$ {";
        let text = site.shipped(PAGES, "listen 8080", port);
        assert!(text.contains(pages), "{text}");
        site.web = Some(run(&text.replace(pages, &format!("{pages}\n{include}")), port).await);
    };
    let rules = |site: &Site, config: &str| {
        fs::write(site.app.folder.path().join("edgemint.toml"), config).unwrap();
        site.app.state.swap(App::load(&site.app.folder).unwrap());
    };
    let visit = async |site: &Site, jar: &mut Jar| {
        let mut ada = Browser { jar: jar.clone(), ..site.browser(Some(person("Ada"))) };
        assert_eq!(ada.open("/").await.status, 200);
        jar.clone_from(&ada.jar);
        let shared = ada.jar.alive(site.app.clock.now()).any(|cookie| cookie.value == "shared");
        (ada.paths(), ada.reads("/lab-a/x").is_ok(), shared)
    };

    let (mut steady, mut late) = (Jar::default(), Jar::default());
    old(&mut site).await;
    assert_eq!(visit(&site, &mut steady).await, (root.clone(), false, true));
    visit(&site, &mut late).await;
    new(&mut site, "").await;
    assert_eq!(visit(&site, &mut steady).await, (root.clone(), true, false), "in its place");
    rules(&site, CONFIG);
    new(&mut site, "include edgemint/no-shared-cookie.conf;").await;
    assert_eq!(visit(&site, &mut steady).await, (lab_a.clone(), true, false), "narrower");
    assert_eq!(visit(&site, &mut late).await, (lab_a, true, false), "and where it was left");

    rules(&site, &wide);
    new(&mut site, "").await;
    assert_eq!(visit(&site, &mut steady).await, (root.clone(), true, false), "back to one rule");
    old(&mut site).await;
    assert_eq!(visit(&site, &mut steady).await, (root, false, true), "back to the cron job");
}

/// Step 6 of docs/FROM-CRON.md: the stock viewer beside the patched one, and then in its place.
#[tokio::test]
async fn the_stock_viewer_comes_beside_the_old_one_and_then_in_its_place() {
    let edit = |site: &Site, from: &str, to: &str| {
        let file = site.app.folder.path().join("edgemint.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
        fs::write(file, text.replace(from, to)).unwrap();
        site.app.state.swap(App::load(&site.app.folder).unwrap());
    };
    let mut site = Site::of(CONFIG);
    let stock = site.app.folder.path().join("stock");
    fs::create_dir(&stock).unwrap();
    fs::write(stock.join("index.html"), "<!doctype html><title>stock</title>").unwrap();
    fs::write(stock.join("worker.js"), "onmessage = () => {};").unwrap();
    let (old, beside) =
        ("root = \"viewer\"", "[[viewer.bundle]]\nroot = \"stock\"\npath = \"/stock/\"");
    edit(&site, old, &format!("{old}\n{beside}"));

    let port = free_port();
    site.web = Some(run(&site.shipped(PAGES, "listen 8080", port), port).await);
    let mut ada = site.browser(Some(person("Ada")));
    for (path, title) in [("/stock/", "stock"), ("/stock/index.html", "stock"), ("/", "viewer")] {
        let page = ada.open(path).await;
        assert!(page.body.contains(&format!("<title>{title}</title>")), "{path}: {page:?}");
        assert!(page.body.contains("/session/cookies"), "{path} lacks the shim");
    }
    assert!(ada.fetch("/stock/worker.js").await.body.contains("/session/cookies"));
    assert_eq!(ada.fetch("/main.js").await.body, "console.log(1)", "nginx's, as it is");

    edit(&site, beside, "");
    edit(&site, old, "root = \"stock\"");
    let port = free_port();
    let text = site.shipped(PAGES, "listen 8080", port);
    site.web = Some(run(&without_files_of_nginx(&text), port).await);
    let mut ada = site.browser(Some(person("Ada")));
    let page = ada.open("/").await;
    assert!(page.body.contains("<title>stock</title>"), "{page:?}");
    assert_eq!(ada.paths(), BTreeSet::from(["/lab-a/".to_owned()]));
    assert!(ada.fetch("/worker.js").await.body.contains("/session/cookies"));
    // What only nginx's folder has is gone, and dotfiles stay hidden.
    for path in ["/main.js", "/.git/config"] {
        assert_eq!(ada.fetch(path).await.status, 404, "{path}");
    }
    site.stop_edgemint().await;
    for path in ["/", "/worker.js", "/session"] {
        let answer = site.browser(None).open(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{path}");
    }
}

/// A configuration of nginx's with the changes that both documents show and name, which must be there to
/// make in every form that has pages of edgemint's.
fn without_files_of_nginx(text: &str) -> String {
    let shown = |document: &str| {
        let parts =
            document.split("```nginx\n").skip(1).map(|part| part.split("```").next().unwrap());
        let mut blocks =
            parts.map(|part| part.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n"));
        blocks.find(|block| block.starts_with("location / {")).unwrap()
    };
    let location = shown(include_str!("../../../docs/FROM-CRON.md"));
    assert_eq!(shown(include_str!("../../../deploy/nginx/README.md")), location);
    let changed = |text: &str| {
        let start = text.rfind("    location / {").unwrap();
        let end = start + text[start..].find("    }\n").unwrap() + "    }\n".len();
        assert!(text[start..end].contains("try_files $uri @page;"), "{text}");
        let shell = "error_page 502 504 = @shell;";
        assert_eq!(text.matches(shell).count(), 1);
        [&text[..start], &location, &text[end..]].concat().replace(shell, "")
    };
    changed(&fs::read_to_string(deploy("nginx/edge.conf")).unwrap());
    changed(text)
}
