//! Killed at every call, before and behind it, and run again.

use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use super::world::World;
use crate::ministack::MiniStack;

/// Forwards to AWS, and kills the program at one of its calls that change anything.
#[derive(Clone)]
struct Executioner(Arc<Shared>);

struct Shared {
    target: String,
    state: Mutex<Sentence>,
}

#[derive(Default)]
struct Sentence {
    calls: usize,
    /// At which call, and whether it still gets through.
    at: Option<(usize, bool)>,
    convict: Option<Child>,
    carried_out: Option<String>,
}

impl Executioner {
    async fn start(target: String) -> (Self, String) {
        let shared = Shared { target, state: Mutex::default() };
        let executioner = Self(Arc::new(shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(forward).with_state(executioner.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        (executioner, url)
    }

    /// Runs the program until it is killed at its call number `at`, or to its end.
    async fn run(
        &self,
        world: &World,
        url: &str,
        arguments: &[&str],
        at: (usize, bool),
    ) -> Option<String> {
        let child = world
            .command(url, arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.0.state.lock().unwrap() =
            Sentence { at: Some(at), convict: Some(child), ..Sentence::default() };
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            {
                let mut state = self.0.state.lock().unwrap();
                let ended = state.convict.as_mut().unwrap().try_wait().unwrap();
                if ended.is_some() {
                    return state.carried_out.take();
                }
            }
            assert!(Instant::now() < end, "the program does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the program if its time has come.
    fn strike(&self, call: &str, gets_through: bool) -> bool {
        let mut state = self.0.state.lock().unwrap();
        if state.at != Some((state.calls, gets_through)) || state.carried_out.is_some() {
            return false;
        }
        state.convict.as_mut().unwrap().kill().unwrap();
        state.carried_out = Some(call.to_owned());
        true
    }
}

async fn forward(State(executioner): State<Executioner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let action = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let call =
        action.map_or_else(|| format!("{} {}", parts.method, parts.uri.path()), ToOwned::to_owned);
    let changes = call.contains("PutParameter")
        || call.contains("DeleteParameter")
        || (action.is_none() && parts.method != "GET");
    if changes {
        executioner.0.state.lock().unwrap().calls += 1;
        if executioner.strike(&call, false) {
            return Body::empty().into_response();
        }
    }
    let url = format!("{}{}", executioner.0.target, parts.uri);
    let mut onward = reqwest::Client::new().request(parts.method, url).body(body);
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host") {
        onward = onward.header(name, value);
    }
    let answer = onward.send().await.unwrap();
    if changes {
        executioner.strike(&call, true);
    }
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let kept =
        kept.filter(|(name, _)| !["content-length", "transfer-encoding"].contains(&name.as_str()));
    response.headers_mut().extend(kept);
    response
}

/// Kills a command at each of its calls, before and behind it; runs it again to its end each time,
/// and looks at what is left. Says how many calls there are.
async fn at_every_call(
    name: &str,
    arguments: &[&str],
    prepare: impl AsyncFn(&World),
    retiring: usize,
) -> usize {
    let mut stack = Some(MiniStack::start().await);
    let mut killed = Vec::new();
    for call in 1.. {
        for gets_through in [false, true] {
            let number = killed.len();
            let running = stack.take().unwrap();
            let (executioner, url) = Executioner::start(running.url()).await;
            let world = World::on(running, &format!("{name}-{number}")).await;
            prepare(&world).await;
            let first = world.first().to_string();
            let arguments: Vec<&str> =
                arguments.iter().map(|a| if *a == "FIRST" { first.as_str() } else { *a }).collect();
            let Some(at) = executioner.run(&world, &url, &arguments, (call, gets_through)).await
            else {
                return killed.len();
            };
            let context = format!("killed {} {at}", if gets_through { "behind" } else { "before" });
            let again = world.keys(&arguments).await;
            assert_eq!(again.code(), Some(0), "{context}: {}", again.text());
            world.assert_tidy(retiring, &context).await;
            killed.push(context);
            world.clear().await;
            stack = Some(world.stack);
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_at_any_call_is_finished_by_the_next() {
    let arguments = ["rotate", "--settle", "0s", "--timeout", "20s"];
    let kills = at_every_call("killed", &arguments, async |_| {}, 1).await;
    // The key, the beginning, the public half, the group, the staging, the promotion, the
    // confirmation, the end: each before and behind.
    assert!(kills >= 16, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_that_is_killed_at_any_call_is_finished_by_the_next() {
    let prepare = async |world: &World| {
        world.keys(&["rotate", "--settle", "0s", "--kind", "p256"]).await.done();
        world.let_cookies_expire().await;
    };
    // As the schedule runs it: nothing new is begun.
    let arguments = ["rotate", "--if-older-than", "30d"];
    let kills = at_every_call("retired", &arguments, prepare, 0).await;
    assert!(kills >= 8, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_is_killed_at_any_call_is_finished_by_the_next() {
    let arguments = ["revoke", "FIRST", "--yes", "--settle", "0s", "--timeout", "20s"];
    let kills = at_every_call("revoked", &arguments, async |_| {}, 0).await;
    assert!(kills >= 12, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_keys_in_a_folder_that_is_killed_is_finished_by_the_next() {
    let arguments = ["rotate", "--settle", "0s", "--timeout", "20s"];
    let kills = at_every_call("dir:folder", &arguments, async |_| {}, 1).await;
    // Only CloudFront is asked: the public half, and the group.
    assert_eq!(kills, 4);
}
