use std::collections::HashMap;
use std::future::pending;

use bytes::Bytes;
use reqwest::Response as Reply;

use super::super::testing::{Browser, bind, url};
use super::*;
use crate::access::Grant;
use crate::clock::{EpochSeconds, FixedClock};
use crate::cookies::named_values;
use crate::policy::{Custom, Policy, Resource};
use crate::signing::{HashAlgorithm, PrivateKey, SigningKey, sign};

const NOW: EpochSeconds = EpochSeconds(1_800_000_000);
const ORIGIN_URL: &str = "http://viewer.edgemint.localhost:8080";

struct Data {
    url: BaseUrl,
    key: SigningKey,
    trusted: Arc<RwLock<TrustedKeys>>,
    clock: Arc<FixedClock>,
    browser: Browser,
}

impl Data {
    async fn start() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(may_list: bool) -> Self {
        let listener = bind().await;
        let url = url("data", &listener);
        let pem = include_str!("../../../keys-example/rsa-2048.private.pem");
        let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
        let group = HashMap::from([("K1".to_owned(), key.public().clone())]);
        let trusted = Arc::new(RwLock::new(TrustedKeys::Group(group)));
        let clock = Arc::new(FixedClock::at(NOW));
        let options = EdgeOptions {
            url: url.clone(),
            trusted: trusted.clone(),
            allowed_origin: BaseUrl::parse(ORIGIN_URL).unwrap(),
            may_list,
            objects: Arc::new(|path| {
                (path == "/lab-a/x").then(|| SampleObject {
                    content_type: "application/octet-stream",
                    bytes: Bytes::from_static(b"0123456789"),
                })
            }),
        };
        let bucket = PublicBucket {
            url: super::super::testing::url("public", &listener),
            objects: Arc::new(|_| {
                let content_type = "application/octet-stream";
                Some(SampleObject { content_type, bytes: Bytes::from_static(b"public") })
            }),
        };
        let edge = Edge::new(options, clock.clone()).and_public(bucket);
        tokio::spawn(edge.serve(listener, pending()));
        let key = SigningKey { id: "K1".parse().unwrap(), key };
        Self { url, key, trusted, clock, browser: Browser::new() }
    }

    fn cookies(&self, source_ip: Option<&str>) -> String {
        let resource = Resource::parse(&format!("{}/lab-a/*", self.url)).unwrap();
        let policy = Policy::custom(Custom {
            resource: resource.clone(),
            expires: NOW.plus(60),
            starts: None,
            source_ip: source_ip.map(|range| range.parse().unwrap()),
        });
        let grant = Grant::by_operator(resource);
        let signed = sign(&grant, policy.unwrap(), &self.key, HashAlgorithm::Sha1).unwrap();
        let pairs =
            named_values(&signed).into_iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.browser.request(method, &format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.browser.send(request).await
    }

    async fn get(&self, path: &str, cookies: &str) -> Reply {
        self.ask(Method::GET, path, &[("cookie", cookies), ("origin", ORIGIN_URL)]).await
    }

    async fn code(&self, path: &str, cookies: &str) -> String {
        let reply = self.get(path, cookies).await;
        assert_eq!(reply.status(), 403);
        assert_eq!(reply.headers()["content-type"], "text/xml");
        assert_eq!(reply.headers()["x-cache"], "Error from cloudfront");
        assert!(!reply.headers().keys().any(|name| name.as_str().starts_with("access-control")));
        let body = reply.text().await.unwrap();
        let start = r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>"#;
        let rest = body.strip_prefix(start).unwrap_or_else(|| panic!("{body}"));
        rest.split_once("</Code><Message>").unwrap().0.to_owned()
    }
}

#[tokio::test]
async fn each_denial_has_the_code_of_cloudfront_and_no_cors_headers() {
    let data = Data::start().await;
    let good = data.cookies(None);
    assert_eq!(data.get("/lab-a/x", &good).await.status(), 200);
    assert_eq!(data.code("/lab-a/x", "").await, "MissingKey");
    assert_eq!(data.code("/lab-a/x", &good.replace("=K1", "=K2")).await, "InvalidKey");
    let broken = good.replace("CloudFront-Signature=", "CloudFront-Signature=!");
    assert_eq!(data.code("/lab-a/x", &broken).await, "MalformedSignature");
    let broken = good.replace("CloudFront-Policy=", "CloudFront-Policy=!");
    assert_eq!(data.code("/lab-a/x", &broken).await, "MalformedPolicy");
    assert_eq!(data.code("/lab-b/x", &good).await, "AccessDenied");
    assert_eq!(data.code("/lab-a/x", &data.cookies(Some("192.0.2.0/24"))).await, "AccessDenied");
    assert_eq!(data.get("/lab-a/x", &data.cookies(Some("127.0.0.1/32"))).await.status(), 200);
    data.clock.advance(60);
    assert_eq!(data.code("/lab-a/x", &good).await, "AccessDenied");
}

#[tokio::test]
async fn keys_can_be_withdrawn_while_the_edge_runs() {
    let data = Data::start().await;
    let good = data.cookies(None);
    assert_eq!(data.get("/lab-a/x", &good).await.status(), 200);
    *data.trusted.write().unwrap() = TrustedKeys::None;
    assert_eq!(data.code("/lab-a/x", &good).await, "InvalidKey");
}

#[tokio::test]
async fn preflights_and_other_methods_need_the_signature_first() {
    let data = Data::start().await;
    let preflight = [("origin", ORIGIN_URL), ("access-control-request-method", "GET")];
    let reply = data.ask(Method::OPTIONS, "/lab-a/x", &preflight).await;
    assert_eq!(reply.status(), 403);
    assert!(reply.headers().get("access-control-allow-origin").is_none());
    let cookies = data.cookies(None);
    for method in [Method::OPTIONS, Method::POST, Method::PUT, Method::DELETE] {
        let reply = data.ask(method.clone(), "/lab-a/x", &[("cookie", &cookies)]).await;
        assert_eq!(reply.status(), 405, "{method}");
        assert_eq!(reply.headers()["allow"], "GET, HEAD");
    }
}

#[tokio::test]
async fn objects_are_read_whole_or_in_part() {
    let data = Data::start().await;
    let cookies = data.cookies(None);
    let whole = data.get("/lab-a/x", &cookies).await;
    assert_eq!(whole.headers()["content-length"], "10");
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    let etag = whole.headers()["etag"].clone();
    assert_eq!(whole.text().await.unwrap(), "0123456789");
    for (range, bytes, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
    ] {
        let part =
            data.ask(Method::GET, "/lab-a/x?v=1", &[("cookie", &cookies), ("range", range)]).await;
        assert_eq!(part.status(), 206, "{range}");
        assert_eq!(part.headers()["content-range"], content_range);
        assert_eq!(part.headers()["etag"], etag);
        assert_eq!(part.text().await.unwrap(), bytes);
    }
    let past = [("cookie", cookies.as_str()), ("range", "bytes=10-")];
    let past = data.ask(Method::GET, "/lab-a/x", &past).await;
    assert_eq!(past.status(), 416);
    assert_eq!(past.headers()["content-range"], "bytes */10");
    let head = data.ask(Method::HEAD, "/lab-a/x", &[("cookie", &cookies)]).await;
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].as_bytes()),
        (200, &b"10"[..])
    );
}

#[tokio::test]
async fn cors_names_the_one_origin_exactly() {
    let data = Data::start().await;
    let cookies = data.cookies(None);
    for (path, status) in [("/lab-a/x", 200), ("/lab-a/absent", 404)] {
        let reply = data.get(path, &cookies).await;
        assert_eq!(reply.status(), status);
        let headers = reply.headers();
        assert_eq!(headers["access-control-allow-origin"], ORIGIN_URL);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("ETag"));
        assert_eq!(headers["vary"], "Origin");
    }
    for origin in ["http://viewer.edgemint.localhost", "http://evil.example", "null"] {
        let headers = [("cookie", cookies.as_str()), ("origin", origin)];
        let reply = data.ask(Method::GET, "/lab-a/x", &headers).await;
        assert_eq!(reply.status(), 200);
        assert!(reply.headers().get("access-control-allow-origin").is_none(), "{origin}");
        assert_eq!(reply.headers()["vary"], "Origin");
    }
}

#[tokio::test]
async fn another_host_is_refused_before_anything_else() {
    let data = Data::start().await;
    let cookies = data.cookies(None);
    let headers = [("cookie", cookies.as_str()), ("host", "evil.example")];
    assert_eq!(data.ask(Method::GET, "/lab-a/x", &headers).await.status(), 403);
}

#[tokio::test]
async fn what_is_absent_is_refused_where_the_bucket_may_not_be_listed() {
    let data = Data::start_with(false).await;
    let cookies = data.cookies(None);
    assert_eq!(data.get("/lab-a/x", &cookies).await.status(), 200);
    let absent = data.get("/lab-a/y", &cookies).await;
    assert_eq!(absent.status(), 403);
    assert!(absent.headers().contains_key("access-control-allow-origin"), "S3 said so");
}

#[tokio::test]
async fn a_public_bucket_is_open_to_every_page_and_takes_no_cookies() {
    let data = Data::start().await;
    let url = data.url.to_string().replace("data.", "public.");
    let ask = |cookie: Option<&str>| {
        let mut request = data.browser.request(Method::GET, &format!("{url}/x"));
        request = request.header("origin", "http://anybody.example");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        data.browser.send(request)
    };
    let open = ask(None).await;
    assert_eq!(open.status(), 200);
    assert_eq!(open.headers()["access-control-allow-origin"], "*");
    assert!(!open.headers().contains_key("access-control-allow-credentials"));
    assert_eq!(ask(Some("a=b")).await.status(), 400);
}
