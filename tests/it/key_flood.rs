//! Tokens with invented key IDs, at the program itself. For the figures in docs/benchmarks.md:
//!
//! `INVENTED=100000 cargo nextest run --no-capture -E 'test(invented_key_ids)'`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use edgemint::clock::{Clock as _, SystemClock};
use serde_json::json;
use tokio::task::JoinSet;

use crate::process::{ARN, Service, Site};
use crate::support::person;

/// How many, unless the build is told otherwise.
const INVENTED: usize = 3000;

/// So many connections send them, one token after the other.
const SENDERS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn invented_key_ids_cost_a_bounded_number_of_fetches_and_little_memory() {
    let invented = option_env!("INVENTED").map_or(INVENTED, |number| number.parse().unwrap());
    let fetches = Arc::new(AtomicUsize::new(0));
    let site = counted(Site::prepare().await, &fetches).await;
    let service = Arc::new(Service::on(site, async |_| {}).await);
    assert_eq!(service.cookies(person("Ada")).await.status(), 200);
    let known = fetches.load(Ordering::SeqCst);
    let (before, begun) = (service.most_memory(), Instant::now());
    let mut sending = JoinSet::new();
    for sender in 0..SENDERS {
        let service = service.clone();
        sending.spawn(async move {
            for number in (sender..invented).step_by(SENDERS) {
                let status = refused(&service, number).await;
                assert!(matches!(status, 401 | 503), "{status}");
            }
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
    let took = begun.elapsed();
    let asked = fetches.load(Ordering::SeqCst) - known;
    let grown = service.most_memory().saturating_sub(before);
    println!("{invented} invented key IDs in {took:.1?}: {asked} fetches, {grown} KB more memory");
    // 30 in each minute that this took a part of.
    let minutes = usize::try_from(took.as_secs() / 60).unwrap() + 2;
    assert!((1..=30 * minutes).contains(&asked), "{asked} fetches");
    assert!(grown < 16 * 1024, "the service grew by {grown} KB");
    assert_eq!(service.cookies(person("Ada")).await.status(), 200, "a known key serves on");
}

/// The site with a key server in the place of its own, which counts.
async fn counted(mut site: Site, fetches: &Arc<AtomicUsize>) -> Site {
    let (kid, pem) = (site.claims.kid().to_owned(), site.claims.public_key_pem().to_owned());
    let fetches = fetches.clone();
    let answer = async move |Path(asked): Path<String>| {
        fetches.fetch_add(1, Ordering::SeqCst);
        if asked == kid {
            (StatusCode::OK, pem.clone())
        } else {
            (StatusCode::NOT_FOUND, String::new())
        }
    };
    let router = Router::new().route("/{kid}", axum::routing::get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("public_key_url = \"http://{}/{{kid}}\"", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let lines = site
        .config
        .lines()
        .map(|line| if line.starts_with("public_key_url") { own.as_str() } else { line });
    let config = lines.collect::<Vec<_>>().join("\n");
    site.write_config(&config);
    site.config = config;
    site
}

/// The status that a token of an invented key gets, each from an address of its own.
async fn refused(service: &Service, number: usize) -> u16 {
    let header = json!({
        "typ": "JWT", "alg": "ES256", "kid": format!("00000000-0000-4000-8000-{number:012x}"),
        "iss": service.issuer, "client": "client", "signer": ARN, "exp": SystemClock.now().plus(120),
    });
    let token = service.claims.sign_segments(&header.to_string(), "{}").unwrap();
    let address = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
    service
        .post(&[("x-amzn-oidc-data", token), ("x-forwarded-for", address)])
        .await
        .status()
        .as_u16()
}
