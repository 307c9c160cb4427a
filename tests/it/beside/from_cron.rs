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
