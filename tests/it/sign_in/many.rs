//! Many people who sign in at once, at the program itself. For the figures in docs/benchmarks.md:
//!
//! `SIGN_INS=1000 cargo nextest run --no-capture -E 'test(many_sign_ins_at_once)'`

use std::sync::Arc;
use std::time::{Duration, Instant};

use cookie_store::CookieStore;
use serde_json::json;
use tokio::sync::Semaphore;
use url::Url;

use super::process::site;
use super::world::client;
use crate::process::Service;

/// How many, unless the build is told otherwise: the provider does about twenty a second.
const PEOPLE: usize = 100;

/// The provider is one process of Node's, which is what takes the time; so many are in it at once.
const AT_THE_PROVIDER: usize = 64;

#[tokio::test]
async fn many_sign_ins_at_once_cost_one_document_one_set_of_keys_and_little_memory() {
    let people = option_env!("SIGN_INS").map_or(PEOPLE, |number| number.parse().unwrap());
    let (idp, site) = site("client_secret = \"a secret: with odd%20characters\"", "").await;
    let service = Service::on(site, async |_| {}).await;
    let viewer = format!("http://{}", service.public_host);
    let before = service.most_memory();
    let limit = Arc::new(Semaphore::new(AT_THE_PROVIDER));
    let begun = Instant::now();
    let begun_by: Vec<_> = (0..people)
        .map(|number| {
            let person = Person {
                client: client(),
                service: format!("http://127.0.0.1:{}", service.port),
                viewer: viewer.clone(),
                address: format!("198.51.{}.{}", 100 + number / 250, number % 250),
                login: format!("login=person-{number}"),
                jar: CookieStore::default(),
            };
            tokio::spawn(person.sign_in(limit.clone()))
        })
        .collect();
    let (mut waited, mut refused) = (Vec::new(), 0);
    for person in begun_by {
        let (took, tries) = person.await.unwrap();
        waited.push(took);
        refused += tries;
    }
    let took = begun.elapsed();
    waited.sort();
    let counts = idp.counts();
    assert_eq!((&counts["discovery"], &counts["keys"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(counts["token"], people);
    let grown = service.most_memory().saturating_sub(before);
    let callback = [waited[people / 2], waited[people * 99 / 100]].map(|took| took.as_millis());
    println!(
        "{people} sign-ins in {took:.1?}; callbacks took {} ms (median), {} ms (99 %); {refused} turned \
         away and asked again; the service grew by {grown} KB to {} KB",
        callback[0],
        callback[1],
        service.most_memory()
    );
    assert!(grown < 48 * 1024, "the service grew by {grown} KB");
}

struct Person {
    client: reqwest::Client,
    service: String,
    viewer: String,
    address: String,
    login: String,
    jar: CookieStore,
}

impl Person {
    /// Returns how long the callback took, and how often a request was turned away.
    async fn sign_in(mut self, limit: Arc<Semaphore>) -> (Duration, usize) {
        let (begun, refused) = self.at_service("/session/login").await;
        let mut url = begun;
        let path = {
            // Whoever waits here has a sign-in under way.
            let _place = limit.acquire().await.unwrap();
            loop {
                let next = self.at_provider(&url).await;
                if let Some(path) = next.strip_prefix(&self.viewer) {
                    break path.to_owned();
                }
                url = next;
            }
        };
        let begun = Instant::now();
        let (onward, again) = self.at_service(&path).await;
        assert_eq!(onward, "/");
        (begun.elapsed(), refused + again)
    }

    /// Where the service sends the browser, after being asked until it has a place.
    async fn at_service(&mut self, path: &str) -> (String, usize) {
        let host = self.viewer.strip_prefix("http://").unwrap().to_owned();
        let url = Url::parse(&self.viewer.replace("http:", "https:")).unwrap();
        for refused in 0..60 {
            let request = self.client.get(format!("{}{path}", self.service));
            let request = request
                .header("host", &host)
                .header("accept", "text/html")
                .header("x-forwarded-for", &self.address)
                .header("cookie", cookies(&self.jar, &url));
            let answer = request.send().await.unwrap();
            if answer.status() == 503 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
            return (self.take(&url, &answer), refused);
        }
        panic!("the service has no place for {}", self.address);
    }

    async fn at_provider(&mut self, url: &str) -> String {
        let url = Url::parse(url).unwrap();
        let request = if url.path().starts_with("/interaction/") {
            let form = "application/x-www-form-urlencoded";
            self.client.post(url.clone()).header("content-type", form).body(self.login.clone())
        } else {
            self.client.get(url.clone())
        };
        let answer = request.header("cookie", cookies(&self.jar, &url)).send().await.unwrap();
        let next = self.take(&url, &answer);
        url.join(&next).unwrap().to_string()
    }

    fn take(&mut self, url: &Url, answer: &reqwest::Response) -> String {
        for line in answer.headers().get_all("set-cookie") {
            let _ = self.jar.parse(line.to_str().unwrap(), url);
        }
        answer.headers()["location"].to_str().unwrap().to_owned()
    }
}

fn cookies(jar: &CookieStore, url: &Url) -> String {
    let pairs = jar.get_request_values(url);
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}
