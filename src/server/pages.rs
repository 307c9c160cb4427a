//! The few pages of the service's own: plain HTML, no script, nothing from elsewhere.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::harden;
use super::request::RequestId;
use crate::access::{Dataset, Opened};
use crate::clock::EpochSeconds;
use crate::identity::{Front, Identity};

const STYLE: &str = include_str!("pages.css");

/// A page about something that went wrong.
///
/// `sign_in` is where to sign in, if that can help.
pub(super) fn problem(
    title: &str,
    detail: &str,
    status: StatusCode,
    sign_in: Option<&str>,
    id: &RequestId,
) -> Response {
    let sign_in = sign_in.map_or_else(String::new, |link| {
        format!("<p><a class=\"button\" href=\"{}\">Sign in</a></p>", escape(link))
    });
    let body = format!(
        "<h1>{}</h1><p>{}</p>{sign_in}<p><a href=\"/\">Back to the viewer</a></p>\
         <p class=\"small\">{} · request {id}</p>",
        escape(title),
        escape(detail),
        status.as_u16(),
    );
    page(title, &body)
}

/// A page on which people choose where to sign in; links and their texts.
pub(super) fn choose(choices: &[(String, &str)]) -> Response {
    let mut items = String::new();
    for (link, title) in choices {
        let (link, title) = (escape(link), escape(title));
        let _ = write!(items, "<li><a class=\"button\" href=\"{link}\">{title}</a></li>");
    }
    let body = format!("<h1>Sign in with</h1><ul class=\"choices\">{items}</ul>");
    page("Sign in", &body)
}

/// What is known of a browser's cookies for something.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holding {
    /// It has some, until then.
    Until(EpochSeconds),
    /// It has none.
    Nothing,
    /// They are set at the data host, which alone sees what it has set.
    SeenElsewhere,
}

/// What the page about a person says.
pub(super) struct Shown<'a> {
    /// The person.
    pub(super) identity: &'a Identity,
    /// Their session, if our own sign-in vouches for them.
    pub(super) login: Option<ShownLogin<'a>>,
    /// What is open, and until when this browser has cookies for it.
    pub(super) opened: &'a [(&'a Opened, Holding)],
    /// What a viewer can show, and where ours does.
    pub(super) datasets: &'a [(&'a Dataset, Option<String>)],
    /// What is not, and why.
    pub(super) withheld: &'a [String],
}

/// What it says of a session of our own sign-in.
pub(super) struct ShownLogin<'a> {
    /// The provider's title.
    pub(super) provider: &'a str,
    /// Until when the session can be renewed, if it can.
    pub(super) renewable_until: Option<EpochSeconds>,
}

/// A page about the person who is signed in.
pub(super) fn session(shown: &Shown<'_>) -> Response {
    let Shown { identity, login, opened, datasets, withheld } = shown;
    let mut body = format!("<h1>You are signed in</h1>{}", person(identity, login.as_ref()));
    if !datasets.is_empty() {
        body.push_str("<h2>Datasets</h2>");
        let item =
            |(dataset, url): &(&Dataset, Option<String>)| dataset_item(dataset, url.as_deref());
        body.push_str(&list(datasets.iter().map(item)));
    }
    body.push_str("<h2>Open to you</h2>");
    if opened.is_empty() {
        body.push_str(
            "<p>Nothing yet. Ask the person who runs this viewer to add you to a group.</p>",
        );
    } else {
        let in_browser = identity.front != Front::Bearer;
        let part = |(part, held): &(&Opened, _)| open_part(part, *held, in_browser);
        body.push_str(&list(opened.iter().map(part)));
        body.push_str(&renewal(identity.front, login.as_ref()));
    }
    if !withheld.is_empty() {
        body.push_str("<h2>Not open, and why</h2>");
        body.push_str(&list(withheld.iter().map(|reason| escape(reason))));
    }
    // A token is signed out of where it comes from.
    if identity.front != Front::Bearer {
        body.push_str(
            "<form method=\"post\" action=\"/session/logout\"><button>Sign out</button></form>",
        );
    }
    body.push_str("<p><a href=\"/\">Back to the viewer</a></p>");
    page("You are signed in", &body)
}

/// What keeps cookies fresh, and for how long.
fn renewal(front: Front, login: Option<&ShownLogin<'_>>) -> String {
    if front == Front::Bearer {
        return "<p>Whoever has the token gets cookies by <code>POST /session/cookies</code>, for as \
                long as the token is good.</p>"
            .to_owned();
    }
    let end = login.and_then(|login| login.renewable_until).map(moment);
    let further = end.map_or_else(String::new, |end| {
        format!(
            " A viewer that renews them by itself (<code>POST /session/cookies</code>) has you vouched \
             for anew, until {end} at the longest. Otherwise sign in again then: mostly nothing is asked \
             of you."
        )
    });
    format!(
        "<p>Opening the viewer renews cookies, for as long as you are vouched for.{further}</p>"
    )
}

fn person(identity: &Identity, login: Option<&ShownLogin<'_>>) -> String {
    let mut html = String::from("<dl>");
    let mut row = |term: &str, html_of_value: &str| {
        let _ = write!(html, "<div><dt>{term}</dt><dd>{html_of_value}</dd></div>");
    };
    if let Some(email) = &identity.email {
        let unverified = if email.verified { "" } else { " (not verified)" };
        row("E-mail", &format!("{}{unverified}", escape(email.address())));
    }
    row("Subject", &format!("<code>{}</code>", escape(identity.subject.as_str())));
    let groups: Vec<String> = identity.groups.iter().map(|group| escape(group)).collect();
    row("Groups", if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }.as_str());
    let front = vouched_for_by(identity.front);
    let provider = login.map(|login| format!("{}, by {front}", escape(login.provider)));
    row("Vouched for by", provider.as_deref().unwrap_or(front));
    row("Vouched for until", &moment(identity.expires));
    html.push_str("</dl>");
    html
}

const fn vouched_for_by(front: Front) -> &'static str {
    match front {
        Front::Alb => "the load balancer in front of this site",
        Front::VerifiedAccess => "AWS Verified Access",
        Front::CloudflareAccess => "Cloudflare Access",
        Front::GoogleIap => "Google\u{2019}s Identity-Aware Proxy",
        Front::Pomerium => "Pomerium",
        Front::Bearer => "a bearer token",
        Front::Login => "the sign-in of this site",
        Front::InsecureProxy => "a proxy that this site believes without a signature",
    }
}

fn dataset_item(dataset: &Dataset, url: Option<&str>) -> String {
    let (title, source) = (escape(&dataset.title), escape(&dataset.source));
    let link = url.map_or_else(
        || title.clone(),
        |url| format!("<a href=\"{}\">{title}, open in viewer</a>", escape(url)),
    );
    format!("{link}<br><code>{source}</code>")
}

fn open_part(opened: &Opened, held: Holding, in_browser: bool) -> String {
    let lifetime = opened.lifetime;
    let held = match held {
        Holding::Until(until) => format!("; this browser has cookies until {}", moment(until)),
        Holding::Nothing if in_browser => "; this browser has no cookies for it now".to_owned(),
        Holding::Nothing | Holding::SeenElsewhere => String::new(),
    };
    format!("<code>{}</code>, for {lifetime} at a time{held}", escape(&opened.resource()))
}

/// `2026-01-01 18:00:00 UTC`, and for machines as RFC 3339 has it.
fn moment(time: EpochSeconds) -> String {
    let text = time.to_string();
    let plain = text.replace('T', " ").replace('Z', " UTC");
    format!("<time datetime=\"{text}\">{plain}</time>")
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut html = String::from("<ul>");
    for item in items {
        let _ = write!(html, "<li>{item}</li>");
    }
    html.push_str("</ul>");
    html
}

/// A page that says what is done, and goes on to where the rest of signing out is done.
///
/// Not a redirect: browsers hold every redirect after a form to the form page's `form-action`, and a
/// front may lead on over hosts that nobody here knows of. It goes on when its images are loaded or have
/// failed (HTML standard, "shared declarative refresh steps"): each of them clears the cookies of one data
/// host.
pub(super) fn signed_out(onward: &str, images: &[String]) -> Response {
    let url = escape(onward);
    let mut body = format!(
        "<h1>Signed out here</h1><p>The sign-in service is told next.</p>\
         <p><a class=\"button\" href=\"{url}\">Go on</a></p>"
    );
    for image in images {
        let _ = write!(body, "<img src=\"{}\" alt=\"\" hidden>", escape(image));
    }
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={url}\">");
    page_with("Signed out", &refresh, &body, images)
}

fn page(title: &str, body: &str) -> Response {
    page_with(title, "", body, &[])
}

fn page_with(title: &str, head: &str, body: &str, images: &[String]) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         {head}<title>{}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>",
        escape(title)
    );
    let mut response = Html(html).into_response();
    if let Ok(policy) = HeaderValue::try_from(content_security_policy(images)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    harden::ours(response.headers_mut());
    response
}

/// No script, nothing from elsewhere but these images, and of styles the one that is ours.
fn content_security_policy(images: &[String]) -> String {
    let mut image_sources = String::new();
    for image in images {
        // Without the query, which sources cannot have (CSP Level 3, section 2.3.1).
        let source = image.split('?').next().unwrap_or_default();
        let lead = if image_sources.is_empty() { "img-src " } else { " " };
        let _ = write!(image_sources, "{lead}{source}");
    }
    if !image_sources.is_empty() {
        image_sources.push_str("; ");
    }
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; {image_sources}style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_cannot_become_markup() {
        assert_eq!(
            escape("<img src=x onerror='a&b'>\""),
            "&lt;img src=x onerror=&#39;a&amp;b&#39;&gt;&quot;"
        );
    }
}
