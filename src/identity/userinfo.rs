//! The userinfo endpoint's answer: JSON, believed because of the connection that it came over.
//!
//! Source: `OpenID` Connect Core section 5.3.2. An answer about another subject than the ID token's must
//! not be used: the access token may have been swapped.

use serde::Deserialize;

use super::jose::{self, ClaimPath, TokenError};
use super::{Email, Subject};
/// What the userinfo endpoint says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// The e-mail address, if there is one that parses.
    pub email: Option<Email>,
    /// Groups.
    pub groups: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    email: Option<String>,
    email_verified: Option<serde_json::Value>,
}

/// Reads the answer about `subject`.
///
/// # Errors
/// [`TokenError`] when it is malformed or about somebody else.
pub fn read(
    bytes: &[u8],
    subject: &Subject,
    groups: Option<&ClaimPath>,
) -> Result<UserInfo, TokenError> {
    let payload: Payload = jose::parse(bytes)?;
    if payload.sub != subject.as_str() {
        return Err(TokenError::SubjectMismatch);
    }
    let verified = payload.email_verified.is_some_and(|value| value == true || value == "true");
    let email = payload.email.and_then(|address| Email::parse(&address, verified));
    let groups = groups.map(|claim| jose::string_list(bytes, claim)).transpose()?;
    Ok(UserInfo { email, groups: groups.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_about_the_same_subject_or_none() {
        let (ada, claim) = (Subject::parse("ada").unwrap(), ClaimPath::parse("groups"));
        let read = |json: &str| read(json.as_bytes(), &ada, Some(&claim));
        let info = read(r#"{"sub":"ada","email":"a@b.org","groups":["lab-a"]}"#).unwrap();
        assert_eq!(info.groups, ["lab-a"]);
        assert!(!info.email.unwrap().verified);
        assert_eq!(read(r#"{"sub":"ben"}"#), Err(TokenError::SubjectMismatch));
        for text in
            ["", "[]", "{}", r#"{"sub":"ada","sub":"ben"}"#, r#"{"sub":"ada","groups":"a"}"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
