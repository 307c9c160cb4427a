//! An object that proves nothing is no probe.

use axum::http::StatusCode;

use super::world::World;

/// A host that answers everybody alike.
async fn answering(status: StatusCode) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/probe.txt", listener.local_addr().unwrap().port());
    let router = axum::Router::new().fallback(async move || status);
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_tell_a_good_key_from_a_bad_one_changes_nothing() {
    let world = World::new("tried").await;
    let before = world.store.read().await.unwrap();
    for (status, said) in [
        (StatusCode::OK, "opens without cookies"),
        (StatusCode::FORBIDDEN, "does not open with the key that signs now"),
        (StatusCode::NOT_FOUND, "the object cannot be read"),
    ] {
        let url = answering(status).await;
        let arguments = ["rotate", "--if-older-than", "0s", "--settle", "0s", "--probe", &url];
        let refused = world.keys(&arguments).await;
        assert_eq!(refused.code(), Some(2), "{status}: {}", refused.text());
        assert!(refused.text().contains(said), "{status}: {}", refused.text());
    }
    assert_eq!(world.store.read().await.unwrap(), before);
    world.assert_tidy(0, "after probes that prove nothing").await;
}
