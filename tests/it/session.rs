use axum::http::Method;
use serde_json::json;

use crate::support::{App, person};

#[tokio::test]
async fn cookies_are_issued_to_a_person_whose_group_has_a_rule() {
    let app = App::new();
    let answer = app.of(person("Ada"), Method::POST, "/session/cookies").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["resources"], json!(["https://data.example.org/lab-a/*"]));
}
