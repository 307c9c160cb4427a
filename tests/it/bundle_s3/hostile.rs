use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::task::JoinHandle;

use super::*;

/// Two bytes are promised, and none comes.
struct Silent;

impl hyper::body::Body for Silent {
    type Data = axum::body::Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(2)
    }
}

type Answer = Box<dyn Fn(&Uri) -> Response + Send + Sync>;

/// An S3 that answers by a function; gone when dropped.
struct Scripted {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    answer: Answer,
    /// Paths of the objects that were asked for.
    fetched: Mutex<Vec<String>>,
}

impl Scripted {
    async fn start(answer: impl Fn(&Uri) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { answer: Box::new(answer), fetched: Mutex::default() });
        let router = Router::new().fallback(respond).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    async fn open(&self, prefix: &str) -> Bucket {
        Bucket::new(BUCKET, prefix, &Aws::with(config_for(&self.url))).await
    }

    fn fetched(&self) -> Vec<String> {
        self.shared.fetched.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    if !is_list(&uri) {
        shared.fetched.lock().unwrap().push(uri.path().to_owned());
    }
    (shared.answer)(&uri)
}

fn is_list(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().contains("list-type=2")
}

fn xml(status: u16, text: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/xml")], text).into_response()
}

/// An error as S3 gives it.
fn error(status: u16, code: &str, message: &str) -> Response {
    xml(status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

/// One page of a listing, of keys as S3 encodes them, and what stands beside them.
fn page(keys: &[&str], bytes: u64, more: &str) -> Response {
    let contents: Vec<String> = keys
        .iter()
        .map(|key| {
            format!("<Contents><Key>{key}</Key><ETag>\"e\"</ETag><Size>{bytes}</Size></Contents>")
        })
        .collect();
    xml(200, format!("<ListBucketResult>{more}{}</ListBucketResult>", contents.concat()))
}

fn whole(keys: &[&str], bytes: u64) -> Response {
    page(keys, bytes, "<IsTruncated>false</IsTruncated>")
}

fn object(body: Body) -> Response {
    ([("etag", "\"e\"")], body).into_response()
}

fn code_of(error: &S3Error) -> ProblemKind {
    let S3Error::Aws(problem) = error else { panic!("{error}") };
    problem.kind
}

#[tokio::test]
async fn no_key_leads_out_of_the_bundle() {
    let keys =
        ["index.html", "../x", "a/../../etc/passwd", "a//b", "%2F%2Fevil", "%2e%2e%2Fx", "a%00b"];
    let s3 = Scripted::start(
        move |uri| if is_list(uri) { whole(&keys, 2) } else { object(Body::from("ok")) },
    )
    .await;
    let bundle = read(&s3.open("").await).await;
    assert_eq!(paths(&bundle), ["/index.html"]);
    assert_eq!(bundle.skipped().len(), 6, "{:?}", bundle.skipped());
    assert_eq!(s3.fetched(), ["/viewer-bundles/index.html"], "the others are not even fetched");
}

#[tokio::test]
async fn keys_that_are_not_under_the_prefix_end_the_reading() {
    let s3 = Scripted::start(|_| whole(&["v1/index.html", "other/secret"], 2)).await;
    let error = list(&s3.open("v1").await).await.unwrap_err();
    assert!(matches!(error, S3Error::Incomplete { .. }), "{error}");
}

#[tokio::test]
async fn one_object_beyond_the_limit_is_refused_before_anything_is_fetched() {
    let s3 = Scripted::start(|uri| {
        let query = uri.query().unwrap_or_default();
        let token = query.split('&').find_map(|part| part.strip_prefix("continuation-token="));
        let number: usize = token.map_or(0, |token| token.parse().unwrap());
        let keys: Vec<String> = (0..1000).map(|key| format!("{number:02}-{key:04}.js")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let next = number + 1;
        let more = "<IsTruncated>true</IsTruncated>";
        page(&keys, 1, &format!("{more}<NextContinuationToken>{next}</NextContinuationToken>"))
    })
    .await;
    // It would go on for ever.
    let error = list(&s3.open("").await).await.unwrap_err();
    assert!(matches!(error, S3Error::TooManyObjects { limit: 20_000, .. }), "{error}");
    assert_eq!(s3.fetched(), [""; 0]);
}

#[tokio::test]
async fn a_listing_that_was_cut_short_is_not_taken() {
    let more = "<IsTruncated>true</IsTruncated>";
    let again = format!("{more}<NextContinuationToken>again</NextContinuationToken>");
    for page_of in [more, &again, "<KeyCount>2</KeyCount>"] {
        let page_of = page_of.to_owned();
        let s3 = Scripted::start(move |_| page(&["index.html"], 2, &page_of)).await;
        let error = list(&s3.open("").await).await.unwrap_err();
        assert!(matches!(error, S3Error::Incomplete { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error() {
    let s3 = Scripted::start(|_| error(200, "InternalError", "We failed.")).await;
    assert_eq!(code_of(&list(&s3.open("").await).await.unwrap_err()), ProblemKind::Other);

    let s3 = Scripted::start(|uri| {
        if is_list(uri) {
            whole(&["index.html"], 2)
        } else {
            error(200, "InternalError", "We failed.")
        }
    })
    .await;
    let bucket = s3.open("").await;
    let error = bucket.fetch(&list(&bucket).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, S3Error::Changed { .. }), "{error}");
}

#[tokio::test]
async fn a_body_of_another_length_is_not_taken() {
    for body in ["", "o", "okk", &"k".repeat(1 << 20)] {
        let body = body.to_owned();
        let s3 = Scripted::start(move |uri| {
            if is_list(uri) { whole(&["index.html"], 2) } else { object(Body::from(body.clone())) }
        })
        .await;
        let bucket = s3.open("").await;
        let error = bucket.fetch(&list(&bucket).await.unwrap()).await.unwrap_err();
        assert!(matches!(error, S3Error::Changed { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_go_on_is_given_up() {
    let s3 = Scripted::start(|uri| {
        if is_list(uri) { whole(&["index.html"], 2) } else { object(Body::new(Silent)) }
    })
    .await;
    let bucket = s3.open("").await.with_stall(Duration::from_millis(200));
    let error = bucket.fetch(&list(&bucket).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, S3Error::CutOff { .. }), "{error}");
}

#[tokio::test]
async fn what_s3_refuses_is_said_with_what_to_do() {
    let cases = [
        (
            403,
            "AccessDenied",
            "Access Denied",
            ProblemKind::Denied,
            "the permission s3:ListBucket:",
        ),
        (403, "InvalidAccessKeyId", "Not in our records", ProblemKind::Credentials, "AWS_PROFILE"),
        (301, "PermanentRedirect", "Use its endpoint", ProblemKind::BucketRegion, "set AWS_REGION"),
        (
            400,
            "AuthorizationHeaderMalformed",
            "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            ProblemKind::BucketRegion,
            "get-bucket-location",
        ),
        (403, "RequestTimeTooSkewed", "Too large", ProblemKind::Clock, "timedatectl"),
    ];
    for (status, code, message, kind, advice) in cases {
        let s3 = Scripted::start(move |_| error(status, code, message)).await;
        let error = list(&s3.open("").await).await.unwrap_err();
        assert_eq!(code_of(&error), kind, "{error}");
        assert!(error.to_string().contains(advice), "{error}");
    }
    let s3 = Scripted::start(|uri| {
        if is_list(uri) {
            whole(&["index.html"], 2)
        } else {
            error(403, "AccessDenied", "Access Denied")
        }
    })
    .await;
    let bucket = s3.open("").await;
    let error = bucket.fetch(&list(&bucket).await.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("lack the permission s3:GetObject:"), "{error}");
}
