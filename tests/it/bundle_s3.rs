//! Viewer bundles in a bucket, read by AWS's own client.

/// Buckets that answer as no honest one does.
mod hostile;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use edgemint::aws::{Aws, ProblemKind};
use edgemint::bundle::{Bucket, Bundle, File, Injection, Limits, Listing, S3Error};

use crate::ministack::{MiniStack, config_for};

const BUCKET: &str = "viewer-bundles";

/// A bucket of somebody who copies bundles there.
pub(crate) struct Store {
    pub(crate) stack: MiniStack,
    client: Client,
}

impl Store {
    pub(crate) async fn start() -> Self {
        let stack = MiniStack::start().await;
        let config = aws_sdk_s3::config::Builder::from(&stack.config()).force_path_style(true);
        let client = Client::from_conf(config.build());
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        Self { stack, client }
    }

    pub(crate) async fn put(&self, key: &str, text: &str) {
        let body = ByteStream::from(text.as_bytes().to_vec());
        self.client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }

    async fn open(&self, prefix: &str) -> Bucket {
        Bucket::new(BUCKET, prefix, &Aws::with(self.stack.config())).await
    }
}

async fn list(bucket: &Bucket) -> Result<Listing, S3Error> {
    bucket.list(Limits::default()).await
}

async fn read(bucket: &Bucket) -> Bundle {
    let listing = list(bucket).await.unwrap();
    let objects = bucket.fetch(&listing).await.unwrap();
    Bundle::of_objects(objects, &Injection::default()).unwrap()
}

fn paths(bundle: &Bundle) -> Vec<&str> {
    bundle.files().iter().map(File::path).collect()
}

#[tokio::test]
async fn a_prefix_is_a_folder_whatever_else_the_bucket_holds() {
    let store = Store::start().await;
    for (key, text) in [
        ("v1/index.html", "<html>"),
        ("v1/a b+c.js", "plus"),
        ("v1/assets/é.js", "accent"),
        ("v1/empty", ""),
        ("v1/folder/", ""),
        ("v10/index.html", "another"),
        ("index.html", "all of it"),
    ] {
        store.put(key, text).await;
    }
    for prefix in ["v1", "v1/"] {
        let bundle = read(&store.open(prefix).await).await;
        assert_eq!(paths(&bundle), ["/a b+c.js", "/assets/é.js", "/empty", "/index.html"]);
        assert_eq!(bundle.get("/").unwrap().body().unwrap(), "<html>");
        assert_eq!(bundle.get("/a%20b+c.js").unwrap().body().unwrap(), "plus");
        assert_eq!(bundle.get("/assets/%C3%A9.js").unwrap().body().unwrap(), "accent");
        assert_eq!(bundle.get("/empty").unwrap().body().unwrap(), "");
    }
    let whole = read(&store.open("").await).await;
    assert_eq!(whole.get("/").unwrap().body().unwrap(), "all of it");
    assert_eq!(whole.get("/v10/").unwrap().body().unwrap(), "another");
    let error = list(&store.open("v").await).await.unwrap_err();
    assert!(matches!(error, S3Error::NoIndex { .. }), "{error}");
    assert!(error.to_string().starts_with("s3://viewer-bundles/v/ holds no index.html"), "{error}");
}

#[tokio::test]
async fn keys_that_could_be_no_file_are_skipped() {
    let store = Store::start().await;
    store.put("v1/index.html", "<html>").await;
    for key in ["v1/.env", "v1/.git/config", "v1/a\\b.js"] {
        store.put(key, "secret").await;
    }
    let bundle = read(&store.open("v1").await).await;
    assert_eq!(paths(&bundle), ["/index.html"]);
    let skipped: Vec<String> = bundle.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "s3://viewer-bundles/v1/.env is not served: its name begins with a dot",
            "s3://viewer-bundles/v1/.git/config is not served: its name begins with a dot",
            "s3://viewer-bundles/v1/a\\b.js is not served: its name holds a backslash or a NUL",
        ]
    );
}

#[tokio::test]
async fn more_pages_than_one_are_one_listing() {
    let store = Store::start().await;
    store.put("v1/index.html", "<html>").await;
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..1100 {
        let put = store.client.put_object().bucket(BUCKET).key(format!("v1/{number:04}.js"));
        puts.spawn(put.body(ByteStream::from_static(b"x")).send());
        if puts.len() > 16 {
            puts.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(put) = puts.join_next().await {
        put.unwrap().unwrap();
    }
    let bucket = store.open("v1").await;
    assert_eq!(list(&bucket).await.unwrap().len(), 1101);
    let few = Limits { files: 1100, ..Limits::default() };
    let error = bucket.list(few).await.unwrap_err();
    assert!(matches!(error, S3Error::TooManyObjects { limit: 1100, .. }), "{error}");
    assert!(error.to_string().ends_with("or raise limits.bundle_files"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_listing() {
    let store = Store::start().await;
    store.put("v1/index.html", "<html>").await;
    store.put("v1/main.js", "0123456789").await;
    let bucket = store.open("v1").await;
    let within = |total_bytes| Limits { total_bytes, ..Limits::default() };
    assert!(bucket.list(within(16)).await.is_ok());
    let error = bucket.list(within(15)).await.unwrap_err().to_string();
    assert!(error.contains("exceeds 15 bytes at v1/main.js;"), "{error}");
    assert!(error.ends_with("or raise limits.bundle_bytes"), "{error}");
}

#[tokio::test]
async fn an_object_that_is_not_as_it_was_listed_is_not_taken() {
    let store = Store::start().await;
    store.put("v1/index.html", "<html>").await;
    store.put("v1/main.js", "0123456789").await;
    let bucket = store.open("v1").await;
    let listing = list(&bucket).await.unwrap();
    assert_eq!(list(&bucket).await.unwrap(), listing);
    for text in ["longer than it was", "9876543210"] {
        store.put("v1/main.js", text).await;
        let error = bucket.fetch(&listing).await.unwrap_err();
        assert!(
            matches!(&error, S3Error::Changed { key } if key.ends_with("v1/main.js")),
            "{error}"
        );
    }
    assert_ne!(list(&bucket).await.unwrap(), listing);
    store.delete("v1/main.js").await;
    let error = bucket.fetch(&listing).await.unwrap_err();
    assert!(matches!(error, S3Error::Changed { .. }), "{error}");
}

#[tokio::test]
async fn an_object_that_was_compressed_is_refused() {
    let store = Store::start().await;
    store.put("v1/index.html", "<html>").await;
    let put = store.client.put_object().bucket(BUCKET).key("v1/main.js").content_encoding("gzip");
    put.body(ByteStream::from_static(b"\x1f\x8b")).send().await.unwrap();
    let bucket = store.open("v1").await;
    let error = bucket.fetch(&list(&bucket).await.unwrap()).await.unwrap_err().to_string();
    assert!(
        error.starts_with("s3://viewer-bundles/v1/main.js has Content-Encoding gzip;"),
        "{error}"
    );
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let store = Store::start().await;
    let bucket = Bucket::new("no-such-bucket", "v1", &Aws::with(store.stack.config())).await;
    let S3Error::Aws(problem) = list(&bucket).await.unwrap_err() else { panic!("another error") };
    assert_eq!(problem.kind, ProblemKind::Bucket, "{problem}");
    assert!(
        problem.to_string().starts_with("s3:ListBucket s3://no-such-bucket/v1/: "),
        "{problem}"
    );
    assert!(problem.to_string().ends_with("aws s3 ls"), "{problem}");
}

#[tokio::test]
async fn an_s3_that_is_not_there_is_unreachable() {
    let bucket = Bucket::new(BUCKET, "v1", &Aws::with(config_for("http://127.0.0.1:1"))).await;
    let S3Error::Aws(problem) = list(&bucket).await.unwrap_err() else { panic!("another error") };
    assert_eq!(problem.kind, ProblemKind::Unreachable, "{problem}");
}
