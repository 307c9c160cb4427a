//! `edgemint demo --check`: the loop by HTTP, step by step.

use anyhow::Context as _;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use url::Url;

use super::super::Done;
use super::super::output::{say, say_json};
use super::browser::Browser;
use super::places::Topology;
use super::site::Site;
use crate::demo::people::PEOPLE;
use crate::demo::sample::Bucket;

/// A walk under way.
struct Walk<'a> {
    site: &'a Site,
    browser: Browser,
    steps: Vec<Step>,
    json: bool,
}

struct Step {
    what: String,
    seen: String,
    ok: bool,
}

pub(super) async fn run(site: &Site, json: bool) -> anyhow::Result<Done> {
    let browser = Browser::open(&site.places.hosts())?;
    let mut walk = Walk { site, browser, steps: Vec::new(), json };
    walk.signed_out().await?;
    walk.as_ada().await?;
    walk.as_ben().await?;
    walk.as_noor().await?;
    walk.sign_out().await?;
    walk.finish()
}

impl Walk<'_> {
    async fn signed_out(&mut self) -> anyhow::Result<()> {
        self.heading("Nobody is signed in");
        let page = self.viewer(Method::GET, "/").await?;
        self.expect("the viewer itself is public", &page, 200);
        let refused = self.viewer(Method::POST, "/session/cookies").await?;
        self.expect("cookies are refused", &refused, 401);
        self.read(Bucket::Data, "/lab-a/neurons.zarr/.zattrs", "MissingKey").await?;
        self.read(Bucket::Archive, "/shared/specks.zarr/zarr.json", "MissingKey").await?;
        let public = self.data(Bucket::Public, "/neuropil/info", &[]).await?;
        self.expect("what is public opens", &public, 200);
        let allowed = public.headers().get("access-control-allow-origin");
        let allowed = allowed.and_then(|value| value.to_str().ok()).unwrap_or("nobody").to_owned();
        self.note("pages of every site may read it", &allowed, allowed == "*");
        Ok(())
    }

    async fn as_ada(&mut self) -> anyhow::Result<()> {
        self.sign_in("Ada").await?;
        let renewed = self.viewer(Method::POST, "/session/cookies").await?;
        self.expect("cookies are renewed", &renewed, 200);
        let summary: Value = serde_json::from_slice(&renewed.bytes().await?)?;
        let lives = summary["expires_in"].as_u64().unwrap_or_default();
        self.note("they live about a minute", &format!("{lives} s"), (50..=60).contains(&lives));
        self.read(Bucket::Data, "/lab-a/neurons.zarr/.zattrs", "").await?;
        let range = [("range", "bytes=0-9")];
        let part = self.data(Bucket::Data, "/lab-a/neurons.zarr/0/.zarray", &range).await?;
        self.expect("Ada reads ten bytes of it", &part, 206);
        self.read(Bucket::Data, "/lab-b/cells.zarr/.zattrs", "MissingKey").await?;
        self.volumes().await?;
        let stolen = self.browser.cookies_for(&self.data_url(Bucket::Data, "/lab-a/x")?);
        let other =
            self.data(Bucket::Data, "/lab-b/cells.zarr/.zattrs", &[("cookie", &stolen)]).await?;
        self.expect_denial("her cookies, carried over by hand, do not help", other, "AccessDenied")
            .await
    }

    /// Volumes of both distributions, side by side.
    async fn volumes(&mut self) -> anyhow::Result<()> {
        let metadata = self.data(Bucket::Data, "/lab-a/neuropil/zarr.json", &[]).await?;
        self.expect("/lab-a/neuropil/zarr.json opens", &metadata, 200);
        let sandbox = metadata.headers().get("content-security-policy");
        let sandbox = sandbox.and_then(|value| value.to_str().ok()).unwrap_or("none").to_owned();
        if self.site.places.topology == Topology::OneHost {
            let safe = sandbox == "sandbox; default-src 'none'";
            self.note("nothing in it runs as the viewer", &sandbox, safe);
        }
        let index = [("range", "bytes=-132")];
        let part = self.data(Bucket::Data, "/lab-a/neuropil/c/0/0/0", &index).await?;
        self.expect("a shard's index is read by itself", &part, 206);
        self.read(Bucket::Archive, "/shared/specks.zarr/zarr.json", "").await?;
        let absent = "/shared/specks.zarr/c/9/9/9";
        let absent = self.data(Bucket::Archive, absent, &[]).await?;
        // The archive may not be listed; the one host's bucket may.
        let status = if self.site.places.topology == Topology::OneHost { 404 } else { 403 };
        self.expect("a chunk that is not there is not there", &absent, status);
        Ok(())
    }

    async fn as_ben(&mut self) -> anyhow::Result<()> {
        self.sign_in("Ben").await?;
        self.read(Bucket::Data, "/lab-b/cells.zarr/.zattrs", "").await?;
        self.read(Bucket::Data, "/lab-a/neurons.zarr/.zattrs", "MissingKey").await?;
        self.nothing_left("/lab-a/x", "of Ada's cookies nothing is left")
    }

    async fn as_noor(&mut self) -> anyhow::Result<()> {
        self.sign_in("Noor").await?;
        let refused = self.viewer(Method::POST, "/session/cookies").await?;
        self.expect("no rule opens anything", &refused, 403);
        self.read(Bucket::Data, "/atlas/section.zarr/.zattrs", "MissingKey").await?;
        self.nothing_left("/lab-b/x", "of Ben's cookies nothing is left")
    }

    async fn sign_out(&mut self) -> anyhow::Result<()> {
        self.sign_in("Dana").await?;
        self.read(Bucket::Data, "/atlas/section.zarr/.zattrs", "").await?;
        let out = self.viewer(Method::POST, "/session/logout").await?;
        self.expect("Dana signs out", &out, 204);
        self.nothing_left("/atlas/x", "of Dana's cookies nothing is left")?;
        let session = self.viewer(Method::GET, "/session").await?;
        self.expect("nobody is signed in any more", &session, 401);
        Ok(())
    }

    /// Follows the redirects of a sign-in the way a browser does.
    async fn sign_in(&mut self, name: &str) -> anyhow::Result<()> {
        self.heading(&format!("{name} signs in"));
        let person = PEOPLE.iter().find(|person| person.name.starts_with(name));
        let person = person.with_context(|| format!("there is no {name}"))?.id;
        let out = self.viewer(Method::POST, "/session/logout").await?;
        anyhow::ensure!(out.status().is_success(), "sign-out answered {}", out.status());
        let start = self.viewer(Method::GET, "/session/login?return_to=/").await?;
        self.expect("the load balancer asks for sign-in", &start, 302);
        let authorize = location(&start)?;
        let query = Url::parse(&authorize)?.query().unwrap_or_default().to_owned();
        let form = format!("{query}&person={person}");
        let chosen = self.browser.send(Method::POST, &authorize, &[], Some(form)).await?;
        let returned = self.browser.send(Method::GET, &location(&chosen)?, &[], None).await?;
        let back = self.browser.send(Method::GET, &location(&returned)?, &[], None).await?;
        self.expect("the service gives cookies and goes on", &back, 303);
        Ok(())
    }

    async fn read(&mut self, bucket: Bucket, path: &str, denial: &str) -> anyhow::Result<()> {
        let response = self.data(bucket, path, &[]).await?;
        if denial.is_empty() {
            self.expect(&format!("{path} opens"), &response, 200);
            return Ok(());
        }
        self.expect_denial(&format!("{path} is refused"), response, denial).await
    }

    async fn viewer(&mut self, method: Method, path: &str) -> anyhow::Result<Response> {
        let url = format!("{}{path}", self.site.places.viewer);
        self.browser.send(method, &url, &[], None).await
    }

    async fn data(
        &mut self,
        bucket: Bucket,
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        let url = self.data_url(bucket, path)?;
        self.browser.send(Method::GET, url.as_str(), headers, None).await
    }

    fn data_url(&self, bucket: Bucket, path: &str) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("{}{path}", self.site.places.base(bucket)))?)
    }

    fn nothing_left(&mut self, path: &str, what: &str) -> anyhow::Result<()> {
        let left = self.browser.cookies_for(&self.data_url(Bucket::Data, path)?);
        let count = left.split("; ").filter(|pair| pair.starts_with("CloudFront-")).count();
        self.note(what, &format!("{count} cookies"), count == 0);
        Ok(())
    }

    fn expect(&mut self, what: &str, response: &Response, status: u16) {
        let seen = response.status().as_u16();
        self.note(what, &seen.to_string(), seen == status);
    }

    async fn expect_denial(
        &mut self,
        what: &str,
        response: Response,
        code: &str,
    ) -> anyhow::Result<()> {
        let status = response.status().as_u16();
        let xml = response.text().await?;
        let inner = xml.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let seen = inner.map_or("no code", |(code, _)| code).to_owned();
        self.note(what, &format!("{status} {seen}"), status == 403 && seen == code);
        Ok(())
    }

    fn heading(&self, text: &str) {
        if !self.json {
            say(&format!("\n{text}"));
        }
    }

    fn note(&mut self, what: &str, seen: &str, ok: bool) {
        if !self.json {
            let mark = if ok { "ok  " } else { "FAIL" };
            say(&format!("  {mark}  {what:<52} {seen}"));
        }
        self.steps.push(Step { what: what.to_owned(), seen: seen.to_owned(), ok });
    }

    fn finish(self) -> anyhow::Result<Done> {
        let failed = self.steps.iter().filter(|step| !step.ok).count();
        if self.json {
            let steps: Vec<Value> = self
                .steps
                .iter()
                .map(|step| json!({ "what": step.what, "seen": step.seen, "ok": step.ok }))
                .collect();
            say_json(&json!({ "ok": failed == 0, "steps": steps }))?;
        } else {
            say(&format!("\n{} steps, {failed} failed", self.steps.len()));
        }
        Ok(if failed == 0 { Done::Yes } else { Done::No })
    }
}

fn location(response: &Response) -> anyhow::Result<String> {
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let location = location.with_context(|| format!("no redirect but {}", response.status()))?;
    Ok(response.url().join(location)?.to_string())
}
