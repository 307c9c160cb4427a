use axum::http::Method;
use edgemint::cookies::LEDGER_PREFIX;
use url::Url;

use super::{NAVIGATES, SITE, ada, assert_opens_nothing, nobody, unlimited};
use crate::jar::Jar;
use crate::support::{Answer, CONFIG, NOW, person};

const SIBLING: &str = "https://evil.example.org/";

#[tokio::test]
async fn case_39_no_cache_keeps_what_is_one_persons() {
    let app = unlimited(CONFIG);
    let private = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let answer = ada(&app, method, path, headers).await;
        assert_eq!(answer.header("cache-control"), "no-store, private", "{path}");
        answer
    };
    private(Method::GET, "/session", &[]).await;
    private(Method::GET, "/session", &[("accept", "text/html")]).await;
    private(Method::GET, "/session/cookies", &[]).await;
    private(Method::POST, "/session/cookies", &[]).await;
    private(Method::DELETE, "/session/cookies", &[]).await;
    private(Method::GET, "/session/login", &[NAVIGATES]).await;
    private(Method::POST, "/session/logout", &[NAVIGATES]).await;
    let page = private(Method::GET, "/", &[NAVIGATES]).await;
    assert_eq!(page.set_cookies().len(), 4);
    // What a cache takes for a file is no answer about a person.
    for path in [
        "/session.css",
        "/session/x.css",
        "/session/cookies.css",
        "/session/cookies/x.css",
        "/session/cookies/.js",
        "/session;.css",
        "/session/cookies;x.css",
        "/session/cookies%2fx.css",
        "/session/cookies%3f.css",
        "/session/cookies%23.css",
        "/session/cookies%00.css",
        "/session/cookies%0a.css",
        "/session/login/x.png",
    ] {
        for headers in [&[][..], &[NAVIGATES]] {
            let answer = ada(&app, Method::GET, path, headers).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_opens_nothing(&answer, path);
            assert!(!answer.text().contains(person("Ada").id), "{path}");
        }
    }
    // A page of the viewer's under a name like a file's is one person's too, or no page.
    for path in ["/x.css", "/view/x.js", "/view%2fx.css"] {
        let answer = ada(&app, Method::GET, path, &[NAVIGATES]).await;
        let kept = answer.header("cache-control") != "no-store, private";
        assert!(!kept || answer.set_cookies().is_empty(), "{path}: {answer:?}");
    }
    let script = ada(&app, Method::GET, "/main.js", &[]).await;
    assert!(script.status == 200 && script.set_cookies().is_empty());
}

/// Takes an answer's cookies into a jar.
fn keep(jar: &mut Jar, from: &str, lines: &[String], answer: usize) {
    let url = Url::parse(from).unwrap();
    for line in lines {
        jar.store(&url, line, NOW, answer);
    }
}

/// The CloudFront cookies that a browser sends for a URL: how often each, and whose.
fn sent(jar: &Jar, url: &str) -> Vec<(String, String)> {
    let cookies = jar.reaching(&Url::parse(url).unwrap(), NOW);
    let ours = cookies.iter().filter(|cookie| cookie.name.starts_with("CloudFront-"));
    ours.map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
}

#[tokio::test]
async fn case_40_a_sibling_host_that_sets_cookies_gains_and_takes_nothing() {
    let app = unlimited(CONFIG);
    let mut jar = Jar::default();
    let tossed = [
        "CloudFront-Policy=evil; Domain=example.org; Path=/lab-a/; Secure".to_owned(),
        "CloudFront-Signature=evil; Domain=example.org; Path=/lab-a/; Secure".to_owned(),
        format!(
            "{LEDGER_PREFIX}01234567=1|9|0|0|example.org|/lab-a/; Domain=example.org; Path=/; Secure"
        ),
    ];
    keep(&mut jar, SIBLING, &tossed, 1);
    let reaching = jar.header(&Url::parse(SITE).unwrap(), NOW);
    assert!(!reaching.contains(LEDGER_PREFIX), "__Host- is nobody's but the host's: {reaching}");
    let answer = ada(&app, Method::POST, "/session/cookies", &[("cookie", &reaching)]).await;
    keep(&mut jar, &format!("{SITE}/session/cookies"), &answer.set_cookies(), 2);
    let cookies = sent(&jar, "https://data.example.org/lab-a/x");
    assert_eq!(cookies.len(), 3, "one set, ours: {cookies:?}");
    assert!(cookies.iter().all(|(_, value)| value != "evil"), "{cookies:?}");

    // Whatever stands among the cookies, once or twice, a person is given the same and no more.
    let mut given = answer.set_cookies();
    let entry = given.pop().unwrap();
    let pair = entry.split(';').next().unwrap();
    for cookie in [
        format!("{pair}; {pair}"),
        format!("{pair}; {LEDGER_PREFIX}01234567=x"),
        format!("{LEDGER_PREFIX}01234567={}", "|".repeat(3000)),
        "CloudFront-Policy=a; CloudFront-Policy=b; CloudFront-Signature=c".to_owned(),
        "=; ;; a; =x; __Host-edgemint-set-=".to_owned(),
        format!("{LEDGER_PREFIX}01234567=1|9999999999|0000000000000000|00000000|evil.net|/"),
        format!("{LEDGER_PREFIX}01234567=1|9999999999|0000000000000000|00000000|org|/"),
    ] {
        let answer = ada(&app, Method::POST, "/session/cookies", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 200, "{cookie}");
        let kept: Vec<String> =
            answer.set_cookies().into_iter().filter(|line| !line.ends_with("Max-Age=0")).collect();
        assert_eq!(kept[..3], given[..3], "{cookie}");
        for line in answer.set_cookies() {
            let domain = line.split("Domain=").nth(1).map(|rest| rest.split(';').next().unwrap());
            assert!([None, Some("example.org")].contains(&domain), "{line}");
        }
    }
}

#[tokio::test]
async fn case_41_an_answers_cookies_stay_below_every_buffer_on_their_way() {
    let resources: Vec<_> = (0..60)
        .map(|n| {
            format!("\"https://data.example.org/a-prefix-of-forty-characters-or-so-{n:02}/*\"")
        })
        .collect();
    let many = resources.join(", ");
    let app = unlimited(&CONFIG.replace("\"https://data.example.org/lab-a/*\"", &many));
    let size =
        |answer: &Answer| answer.set_cookies().iter().map(|line| line.len() + 14).sum::<usize>();
    let first = ada(&app, Method::POST, "/session/cookies", &[]).await;
    assert_eq!(first.json()["on_demand"].as_array().unwrap().len(), 57);
    // nginx has room for 4 KB of headers, unless it is told otherwise.
    assert!(size(&first) < 4096, "{}", size(&first));
    // A browser that lists as many sets as are read, all to be taken away; a load balancer passes 32 KB.
    let scope = |number: usize| edgemint::cookies::CookieScope {
        domain: Some("example.org".to_owned()),
        path: edgemint::access::PathPrefix::parse(&format!("/{}-{number}/", "x".repeat(60)))
            .unwrap(),
    };
    let pairs: Vec<String> = (0..200)
        .map(|number| {
            let (scope, digits) = (scope(number), "0".repeat(16));
            let name = edgemint::cookies::ledger_cookie_name(&scope);
            format!("{name}=1|1767294000|{digits}|00000000|example.org|{}", scope.path)
        })
        .collect();
    let crowded =
        ada(&app, Method::POST, "/session/cookies", &[("cookie", &pairs.join("; "))]).await;
    assert_eq!(crowded.status, 200);
    assert!(crowded.set_cookies().len() > 90, "{}", crowded.set_cookies().len());
    assert!(size(&crowded) < 32 * 1024, "{}", size(&crowded));
}

#[tokio::test]
async fn case_42_what_was_there_before_a_sign_in_or_a_sign_out_is_there_no_more() {
    let app = unlimited(CONFIG);
    let mut jar = Jar::default();
    let data = |lab: &str| format!("https://data.example.org/{lab}/x");
    // A stranger leaves a session of their own, and the person signs in over it.
    let planted = app.of(person("Ben"), Method::POST, "/session/cookies").await;
    keep(&mut jar, SITE, &planted.set_cookies(), 1);
    assert_eq!(sent(&jar, &data("lab-b")).len(), 3);
    let cookies = jar.header(&Url::parse(SITE).unwrap(), NOW);
    let signed_in =
        ada(&app, Method::GET, "/session/login", &[NAVIGATES, ("cookie", &cookies)]).await;
    keep(&mut jar, SITE, &signed_in.set_cookies(), 2);
    assert_eq!((sent(&jar, &data("lab-a")).len(), sent(&jar, &data("lab-b")).len()), (3, 0));
    // Another site cannot sign the person out.
    let cookies = jar.header(&Url::parse(SITE).unwrap(), NOW);
    for header in
        [("origin", "https://evil.net"), ("sec-fetch-site", "cross-site"), ("origin", "null")]
    {
        let answer =
            ada(&app, Method::POST, "/session/logout", &[header, ("cookie", &cookies)]).await;
        assert!(answer.status == 403 && answer.set_cookies().is_empty(), "{header:?}");
    }
    let answer = ada(&app, Method::GET, "/session/logout", &[("cookie", &cookies)]).await;
    assert!(answer.status == 405 && answer.set_cookies().is_empty());
    // They sign out themselves, and the browser holds nothing that reads, and no session of the load balancer.
    let own = format!("{cookies}; AWSELBAuthSessionCookie-0=x");
    let out =
        ada(&app, Method::POST, "/session/logout", &[("origin", SITE), ("cookie", &own)]).await;
    keep(&mut jar, SITE, &out.set_cookies(), 3);
    assert_eq!(sent(&jar, &data("lab-a")), []);
    assert_eq!(jar.header(&Url::parse(SITE).unwrap(), NOW), "");
    let shards =
        out.set_cookies().into_iter().filter(|line| line.starts_with("AWSELBAuthSessionCookie-"));
    assert!(shards.count() >= 4);
    let after = nobody(&app, Method::POST, "/session/cookies", &[]).await;
    assert_eq!(after.status, 401, "what is left is nobody");
}
