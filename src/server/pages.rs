//! The few pages of the service's own: plain HTML, no script, nothing from elsewhere.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;

use super::request::RequestId;

const STYLE: &str = include_str!("pages.css");

/// A page about something that went wrong.
pub(super) fn problem(title: &str, detail: &str, status: StatusCode, id: &RequestId) -> Response {
    let sign_in = if status == StatusCode::UNAUTHORIZED {
        "<p><a class=\"button\" href=\"/session/login\">Sign in</a></p>"
    } else {
        ""
    };
    let body = format!(
        "<h1>{}</h1><p>{}</p>{sign_in}<p><a href=\"/\">Back to the viewer</a></p>\
         <p class=\"small\">{} · request {id}</p>",
        escape(title),
        escape(detail),
        status.as_u16(),
    );
    page(title, &body)
}

/// A page about the person who is signed in; `session` is what scripts get as JSON.
pub(super) fn session(session: &Value) -> Response {
    let text = |key: &str| session[key].as_str().map(escape).unwrap_or_default();
    let list = |key: &str| {
        let items = session[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut html = String::new();
        for item in items.iter().filter_map(Value::as_str) {
            let _ = write!(html, "<li><code>{}</code></li>", escape(item));
        }
        if html.is_empty() { "<p>none</p>".to_owned() } else { format!("<ul>{html}</ul>") }
    };
    let front = match session["front"].as_str() {
        Some("alb") => "the load balancer".to_owned(),
        _ => text("front"),
    };
    let known = session["email"].is_string() && session["email_verified"] != true;
    let unverified = if known { " (not verified)" } else { "" };
    let withheld = match session["withheld"].as_array() {
        Some(reasons) if !reasons.is_empty() => {
            format!("<h2>Not open, and why</h2>{}", list("withheld"))
        }
        _ => String::new(),
    };
    let body = format!(
        "<h1>Signed in</h1><dl><dt>Subject</dt><dd><code>{}</code></dd>\
         <dt>E-mail</dt><dd>{}{unverified}</dd><dt>Vouched for by</dt><dd>{front}, until {}</dd></dl>\
         <h2>Groups</h2>{}<h2>Open to you</h2>{}{withheld}\
         <form method=\"post\" action=\"/session/logout\"><button>Sign out</button></form>\
         <p><a href=\"/\">Back to the viewer</a></p>",
        text("subject"),
        text("email"),
        text("until"),
        list("groups"),
        list("resources"),
    );
    page("Signed in", &body)
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title>\
         <style>{STYLE}</style><main>{body}</main></html>",
        escape(title)
    );
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                  base-uri 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, Html(html)).into_response()
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
