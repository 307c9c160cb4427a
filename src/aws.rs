//! How AWS is asked: credentials, patience, and errors that say what to do.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

/// The most characters of a text of AWS's that are shown.
const MAX_TEXT: usize = 500;

/// The most characters of the reasons why a call was not even made.
const MAX_CHAIN: usize = 800;

/// The most characters of a code of AWS's.
const MAX_CODE: usize = 80;

/// For those who may not change CloudFront themselves.
const BY_HAND: &str = "; with --manual, somebody else can do it by hand";

/// The setup of all clients, found where every AWS tool finds it (environment, profile, role) when
/// the first of them is made.
#[derive(Debug, Default)]
pub struct Aws(OnceCell<SdkConfig>);

/// A call that AWS refused or that did not reach it.
#[derive(Debug, thiserror::Error)]
#[error("{call} {on}: {message}{}", advice(self))]
pub struct AwsProblem {
    /// The permission that the call needs, such as `ssm:PutParameter`.
    pub call: &'static str,
    /// On what.
    pub on: String,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// AWS's own words, or those of the connection.
    pub message: String,
}

/// What can be done about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A permission is missing.
    Denied,
    /// Too many calls.
    Throttled,
    /// There are no credentials, or they have expired.
    Credentials,
    /// No Region is set.
    Region,
    /// AWS did not answer.
    Unreachable,
    /// A limit of the account or of the service is met.
    Limit,
    /// The KMS key is not there, or not usable.
    KmsKey,
    /// This machine's clock is wrong: AWS takes no request that is minutes old or early.
    Clock,
    /// There is no such bucket.
    Bucket,
    /// The bucket is in another Region.
    BucketRegion,
    /// Anything else; the message says what.
    Other,
}

impl Aws {
    /// Returns a setup that is found when it is first needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a setup that is known already.
    #[must_use]
    pub fn with(config: SdkConfig) -> Self {
        Self(OnceCell::new_with(Some(config)))
    }

    /// For calls that a service waits for: 2 s to connect, 3 s an attempt, three attempts, 8 s in all.
    pub(crate) async fn prompt(&self) -> SdkConfig {
        self.config(Duration::from_secs(3), Duration::from_secs(8)).await
    }

    /// For calls that an admin waits for, to a control plane that takes its time.
    pub(crate) async fn patient(&self) -> SdkConfig {
        self.config(Duration::from_secs(10), Duration::from_secs(30)).await
    }

    async fn config(&self, attempt: Duration, operation: Duration) -> SdkConfig {
        let found = self.0.get_or_init(|| aws_config::load_defaults(BehaviorVersion::latest()));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(attempt)
            .operation_timeout(operation)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(3);
        found.await.clone().into_builder().timeout_config(timeouts).retry_config(retries).build()
    }
}

impl AwsProblem {
    /// Says what went wrong with a call. Of an answer that is no error of AWS's, nothing is shown.
    #[expect(clippy::unnecessary_box_returns, reason = "every error that holds one holds it boxed")]
    pub(crate) fn new<E, R>(call: &'static str, on: &str, error: &SdkError<E, R>) -> Box<Self>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let (kind, message) = match error {
            SdkError::ServiceError(service) => from_service(service.err()),
            SdkError::TimeoutError(_) => (ProblemKind::Unreachable, "no answer in time".to_owned()),
            SdkError::ResponseError(_) => not_aws(),
            SdkError::DispatchFailure(failure) => {
                from_connection(&chain(failure.as_connector_error()))
            }
            other => from_connection(&chain(other.source())),
        };
        Box::new(Self { call, on: on.to_owned(), kind, message })
    }

    /// As [`Self::new`], for a call with a private key in it. Of a request that it finds wrong AWS
    /// quotes the values, so what it says is left out unless it is about something else.
    #[expect(clippy::unnecessary_box_returns, reason = "every error that holds one holds it boxed")]
    pub(crate) fn with_secret<E, R>(
        call: &'static str,
        on: &str,
        error: &SdkError<E, R>,
    ) -> Box<Self>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let mut problem = Self::new(call, on, error);
        if let (ProblemKind::Other, SdkError::ServiceError(service)) = (problem.kind, error) {
            problem.message = printable(service.err().code().unwrap_or_default(), MAX_CODE);
        }
        problem
    }

    /// Says that AWS's answer, or what is to be sent, lacks something that it must have.
    pub(crate) fn incomplete(call: &'static str, on: &str, what: &dyn fmt::Display) -> Self {
        let message = format!("incomplete: {what}");
        Self { call, on: on.to_owned(), kind: ProblemKind::Other, message }
    }
}

/// What AWS itself says. Its errors have a code; the answer of a proxy in between has none.
fn from_service(error: &impl ProvideErrorMetadata) -> (ProblemKind, String) {
    let Some(code) = error.code() else { return not_aws() };
    let text = printable(error.message().unwrap_or_default(), MAX_TEXT);
    let code = printable(code, MAX_CODE);
    let kind = kind_of(&code, &text);
    (kind, if text.is_empty() { code } else { format!("{code}: {text}") })
}

fn not_aws() -> (ProblemKind, String) {
    (ProblemKind::Unreachable, "the answer is not AWS's".to_owned())
}

/// One line of bounded length, and no PEM.
fn printable(text: &str, most: usize) -> String {
    if text.contains("-----") {
        return "(a text with a PEM block)".to_owned();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(most).collect()
}

fn kind_of(code: &str, text: &str) -> ProblemKind {
    let throttles =
        ["Throttl", "TooManyRequests", "TooManyUpdates", "RequestLimitExceeded", "SlowDown"];
    let stale = text.starts_with("Signature expired") || text.starts_with("Signature not yet");
    match code {
        "NoSuchBucket" => ProblemKind::Bucket,
        "PermanentRedirect" | "IllegalLocationConstraintException" => ProblemKind::BucketRegion,
        "AuthorizationHeaderMalformed" if text.contains("region") => ProblemKind::BucketRegion,
        _ if throttles.iter().any(|word| code.contains(word)) => ProblemKind::Throttled,
        _ if code.contains("AccessDenied") => ProblemKind::Denied,
        _ if code == "RequestTimeTooSkewed" || code == "RequestExpired" || stale => {
            ProblemKind::Clock
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "UnrecognizedClientException"
        | "IncompleteSignature"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => ProblemKind::Credentials,
        "ParameterLimitExceeded" | "TooManyPublicKeys" | "TooManyPublicKeysInKeyGroup" => {
            ProblemKind::Limit
        }
        _ if code == "InvalidKeyId" || code.starts_with("KMS") => ProblemKind::KmsKey,
        _ => ProblemKind::Other,
    }
}

/// The words of an error and of what caused it, without its `Debug`, which shows answers.
fn chain<E: std::error::Error + ?Sized>(error: Option<&E>) -> String {
    let Some(error) = error else { return "the call failed".to_owned() };
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn from_connection(message: &str) -> (ProblemKind, String) {
    let lower = message.to_lowercase();
    let kind = if lower.contains("missing region") || lower.contains("missing signing region") {
        ProblemKind::Region
    } else if lower.contains("credential") || lower.contains("identity") {
        ProblemKind::Credentials
    } else {
        ProblemKind::Unreachable
    };
    // AWS's client goes through all places for credentials on lines of their own.
    (kind, printable(message.trim_start_matches("other: "), MAX_CHAIN))
}

/// What to do, as the end of a sentence.
fn advice(problem: &AwsProblem) -> String {
    let text = match problem.kind {
        ProblemKind::Denied => {
            let missing = missing_permission(problem);
            let on_key = if missing.starts_with("kms:") { " on the KMS key" } else { "" };
            let by_hand = if missing.starts_with("cloudfront:") { BY_HAND } else { "" };
            return format!(
                "; the credentials in use lack the permission {missing}{on_key}: deploy/iam/ has \
                 policies that allow what is needed{by_hand}"
            );
        }
        ProblemKind::Throttled => "; AWS asks to slow down: run it again in a minute",
        ProblemKind::Credentials => {
            "; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run where a role is attached; signed in with \
             SSO: eval \"$(aws configure export-credentials --format env)\""
        }
        ProblemKind::Region => "; set AWS_REGION",
        ProblemKind::Unreachable => {
            "; is AWS reachable from here, with no proxy in between and AWS_ENDPOINT_URL unset?"
        }
        ProblemKind::Limit if problem.call.starts_with("ssm:") => {
            "; delete parameters that are no longer needed, or ask AWS for a larger quota"
        }
        ProblemKind::Limit => {
            "; retire keys that are no longer needed, or ask AWS for a larger quota"
        }
        ProblemKind::KmsKey if problem.call == "ssm:PutParameter" => {
            "; make a KMS key: aws kms create-key --query KeyMetadata.KeyId, and its alias: aws kms \
             create-alias --alias-name alias/edgemint --target-key-id ID, in the same Region"
        }
        ProblemKind::KmsKey => {
            "; the KMS key that it is encrypted under must be enabled: aws kms enable-key, and if it \
             is about to be deleted first: aws kms cancel-key-deletion"
        }
        ProblemKind::Clock => "; set this machine's clock: timedatectl set-ntp true",
        ProblemKind::Bucket => "; is the name right, and is it in this partition of AWS? aws s3 ls",
        ProblemKind::BucketRegion => {
            "; set AWS_REGION to the bucket's: aws s3api get-bucket-location --bucket NAME"
        }
        ProblemKind::Other => "",
    };
    text.to_owned()
}

/// The permission that AWS says is missing: for a parameter that is encrypted it may be one of KMS.
fn missing_permission(problem: &AwsProblem) -> &str {
    let of_action = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
    let named = problem.message.split_once("not authorized to perform: ").map(|(_, rest)| {
        let end = rest.find(|c| !of_action(c)).unwrap_or(rest.len());
        &rest[..end]
    });
    match named {
        Some(action) if action.contains(':') => action,
        // KMS's words where it does not say whether there is such a key.
        _ if problem.message.contains("ciphertext refers to") => "kms:Decrypt",
        _ => problem.call,
    }
}
