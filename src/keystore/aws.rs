//! How AWS is asked: credentials, patience, and errors that say what to do.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

/// For those who may not change CloudFront themselves.
const BY_HAND: &str = "; with --manual, somebody else can do it by hand";

/// The setup of all clients, found where every AWS tool finds it (environment, profile, role) when
/// the first of them is made.
#[derive(Debug, Default)]
pub struct Aws(OnceCell<SdkConfig>);

/// A call that AWS refused or that did not reach it.
#[derive(Debug, thiserror::Error)]
#[error("{call} {on}: {message}{}", advice(.kind, .call))]
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
    pub(super) async fn prompt(&self) -> SdkConfig {
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
    /// Says what went wrong with a call. Never shows the answer itself: it may hold a private key.
    pub(crate) fn new<E, R>(call: &'static str, on: &str, error: &SdkError<E, R>) -> Box<Self>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let (kind, message) = match error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("an error without a code");
                let text = service.err().message().unwrap_or_default();
                let message =
                    if text.is_empty() { code.to_owned() } else { format!("{code}: {text}") };
                (kind_of(code), message)
            }
            SdkError::TimeoutError(_) => (ProblemKind::Unreachable, "no answer in time".to_owned()),
            SdkError::ResponseError(_) => {
                (ProblemKind::Unreachable, "the answer is not AWS's".to_owned())
            }
            SdkError::DispatchFailure(failure) => {
                from_connection(chain(failure.as_connector_error()))
            }
            other => from_connection(chain(other.source())),
        };
        Box::new(Self { call, on: on.to_owned(), kind, message })
    }

    /// Says that AWS's answer, or what is to be sent, lacks something that it must have.
    pub(super) fn incomplete(call: &'static str, on: &str, what: &dyn fmt::Display) -> Self {
        let message = format!("incomplete: {what}");
        Self { call, on: on.to_owned(), kind: ProblemKind::Other, message }
    }
}

fn kind_of(code: &str) -> ProblemKind {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => ProblemKind::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => ProblemKind::Credentials,
        "ParameterLimitExceeded" | "TooManyPublicKeys" | "TooManyPublicKeysInKeyGroup" => {
            ProblemKind::Limit
        }
        code if code.contains("Throttl")
            || code.contains("TooManyRequests")
            || code.contains("TooManyUpdates") =>
        {
            ProblemKind::Throttled
        }
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

fn from_connection(message: String) -> (ProblemKind, String) {
    let lower = message.to_lowercase();
    let kind = if lower.contains("region") {
        ProblemKind::Region
    } else if lower.contains("credential") || lower.contains("identity") {
        ProblemKind::Credentials
    } else {
        ProblemKind::Unreachable
    };
    (kind, message)
}

/// What to do, as the end of a sentence.
fn advice(kind: &ProblemKind, call: &str) -> String {
    let text = match kind {
        ProblemKind::Denied => {
            let by_hand = if call.starts_with("cloudfront:") { BY_HAND } else { "" };
            return format!(
                "; the credentials in use lack the permission {call}: deploy/iam/ has policies that \
                 allow what is needed{by_hand}"
            );
        }
        ProblemKind::Throttled => "; AWS asks to slow down: run it again in a minute",
        ProblemKind::Credentials => {
            "; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run where a role is attached; signed in with \
             SSO: eval \"$(aws configure export-credentials --format env)\""
        }
        ProblemKind::Region => "; set AWS_REGION",
        ProblemKind::Unreachable => "; is AWS reachable from here?",
        ProblemKind::Limit => {
            "; retire keys that are no longer needed, or ask AWS for a larger quota"
        }
        ProblemKind::Other => "",
    };
    text.to_owned()
}
