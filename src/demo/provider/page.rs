//! The page on which somebody chooses who they are.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::super::people::{PEOPLE, Person};
use super::AuthorizeRequest;

const PAGE: &str = include_str!("../assets/signin.html");
const PERSON: &str = include_str!("../assets/person.html");

/// No `form-action`: browsers apply it to the redirect that follows, which leads to the client.
const ALLOWED: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

pub(super) fn people(request: &AuthorizeRequest) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, ALLOWED),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, render(request)).into_response()
}

fn render(request: &AuthorizeRequest) -> String {
    let hidden: String = [
        ("client_id", &request.client_id),
        ("redirect_uri", &request.redirect_uri),
        ("response_type", &request.response_type),
        ("scope", &request.scope),
        ("state", &request.state),
    ]
    .map(|(name, value)| {
        format!(r#"<input type="hidden" name="{name}" value="{}">"#, escape(value))
    })
    .concat();
    PAGE.replace("{{client}}", &escape(&request.client_id))
        .replace("{{hidden}}", &hidden)
        .replace("{{people}}", &PEOPLE.each_ref().map(render_person).concat())
}

fn render_person(person: &Person) -> String {
    let groups = match person.groups {
        [] => "no group".to_owned(),
        groups => groups.join(", "),
    };
    let email = if person.email_verified {
        person.email.to_owned()
    } else {
        format!("{} (not verified)", person.email)
    };
    PERSON
        .replace("{{value}}", &escape(person.id))
        .replace("{{name}}", &escape(person.name))
        .replace("{{email}}", &escape(&email))
        .replace("{{groups}}", &escape(&groups))
}

/// Escapes text for elements and quoted attributes; and braces, which would be placeholders.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '{' => escaped.push_str("&#123;"),
            '}' => escaped.push_str("&#125;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_everybody_and_escapes_what_it_was_sent() {
        let html = render(&AuthorizeRequest {
            client_id: "{{people}}".to_owned(),
            redirect_uri: "http://h/?a&b".to_owned(),
            response_type: "code".to_owned(),
            scope: String::new(),
            state: "\"><script>alert('x')</script>".to_owned(),
        });
        assert!(!html.contains("{{") && !html.contains("}}"), "{html}");
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains(r#"name="redirect_uri" value="http://h/?a&amp;b""#), "{html}");
        for person in &PEOPLE {
            assert_eq!(html.matches(person.id).count(), 1);
        }
        assert!(html.contains("noor@atlas.example (not verified)"));
    }
}
