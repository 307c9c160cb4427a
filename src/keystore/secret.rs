//! Secrets that are no signing keys: a file or a parameter each.

use std::path::Path;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;

use super::{KeystoreError, folder};
use crate::aws::{Aws, AwsProblem};
use crate::config::ParameterPath;
use crate::secret::Secret;

/// Reads a secret out of a file, under the rules for private keys: a regular file that others may not
/// read, in a folder that they may not change. White space around it is none of it.
///
/// # Errors
/// [`KeystoreError`] says what is wrong with the file: [`KeystoreError::NoSecret`] and
/// [`KeystoreError::EmptySecret`] leave it to the caller what belongs into it.
pub fn read_secret(path: &Path) -> Result<Secret, KeystoreError> {
    let text = folder::read_private(path)?;
    take(&text, || path.display().to_string())
}

fn take(text: &str, place: impl Fn() -> String) -> Result<Secret, KeystoreError> {
    match text.trim() {
        "" => Err(KeystoreError::EmptySecret(place())),
        text => Ok(Secret::new(text.to_owned())),
    }
}

/// Writes a secret into a file for its owner only, whole or not at all.
///
/// # Errors
/// [`KeystoreError`] says which file cannot be written.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), KeystoreError> {
    folder::replace_private(path, content)
}

/// Reads a secret out of Parameter Store. It must be encrypted there.
///
/// # Errors
/// [`KeystoreError`] when it is not there, lies open, or AWS does not give it.
pub async fn fetch_secret(name: &ParameterPath, aws: &Aws) -> Result<Secret, KeystoreError> {
    let name = name.to_string();
    let client = Client::new(&aws.prompt().await);
    let sent = client.get_parameter().name(&name).with_decryption(true).send().await;
    let answer = sent.map_err(|e| AwsProblem::with_secret("ssm:GetParameter", &name, &e))?;
    let parameter = answer.parameter.ok_or_else(|| KeystoreError::NoSecret(name.clone()))?;
    if parameter.r#type != Some(ParameterType::SecureString) {
        return Err(KeystoreError::OpenSecret(name));
    }
    take(&parameter.value.unwrap_or_default(), || name.clone())
}
