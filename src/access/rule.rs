//! A rule: who is allowed, which resources, for how long.

use std::fmt;

use super::dataset::Dataset;
use super::template::ResourceTemplate;
use crate::identity::Identity;

/// One rule of the configuration.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name by which logs and answers speak of the rule.
    pub name: String,
    /// Who is allowed.
    pub allow: Allow,
    /// What they may read.
    pub resources: Vec<ResourceTemplate>,
    /// How long cookies live.
    pub lifetime: Lifetime,
    /// Whether cookies work only from the IPv4 address that the browser asked from.
    pub bind_ip: bool,
    /// Whether people with the same grant share one policy; otherwise each session has its own.
    pub share: bool,
    /// What a viewer opens it as, if the session page is to offer that.
    pub dataset: Option<Dataset>,
}

/// Who is allowed: anyone whom at least one line matches, if one of these issuers vouches for them. What a
/// group, a subject or an address means is its issuer's to say, so where several are believed, one must
/// not speak for another's people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Members of these groups.
    pub groups: Vec<String>,
    /// Holders of a verified e-mail address at exactly these domains, in lower case.
    pub email_domains: Vec<String>,
    /// Holders of these verified e-mail addresses, in lower case.
    pub emails: Vec<String>,
    /// These subjects.
    pub subjects: Vec<String>,
    /// Everyone who is signed in.
    pub everyone: bool,
    /// The issuers whose people these are; none given means whichever is believed.
    pub issuers: Option<Vec<String>>,
}

impl Allow {
    /// Whether the rule is for this person.
    #[must_use]
    pub fn matches(&self, identity: &Identity) -> bool {
        if self.issuers.as_ref().is_some_and(|issuers| !issuers.contains(&identity.issuer)) {
            return false;
        }
        let verified = identity.email.as_ref().filter(|email| email.verified);
        self.everyone
            || self.groups.iter().any(|group| identity.groups.contains(group))
            || self.subjects.iter().any(|subject| subject == identity.subject.as_str())
            || verified.is_some_and(|email| {
                self.emails.iter().any(|address| address == email.address())
                    || self.email_domains.iter().any(|domain| domain == email.domain())
            })
    }

    /// Whether the rule is for nobody at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.email_domains.is_empty()
            && self.emails.is_empty()
            && self.subjects.is_empty()
            && !self.everyone
    }
}

/// How long cookies of a rule live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(u64);

/// A lifetime out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a lifetime is between 30 s and 24 h, not {seconds} s: a cookie cannot be taken back, so its \
     lifetime bounds what a stolen one is worth"
)]
pub struct LifetimeError {
    /// What was asked for.
    pub seconds: u64,
}

impl Lifetime {
    /// Half a minute: below, renewal is all a browser would do.
    pub const SHORTEST: Self = Self(30);
    /// A day.
    pub const LONGEST: Self = Self(24 * 60 * 60);
    /// An hour.
    pub const DEFAULT: Self = Self(60 * 60);

    /// Checks a number of seconds.
    ///
    /// # Errors
    /// [`LifetimeError`] below [`Self::SHORTEST`] or above [`Self::LONGEST`].
    pub const fn from_seconds(seconds: u64) -> Result<Self, LifetimeError> {
        if seconds < Self::SHORTEST.0 || seconds > Self::LONGEST.0 {
            return Err(LifetimeError { seconds });
        }
        Ok(Self(seconds))
    }

    /// Returns the number of seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds % 3600 == 0 => write!(f, "{} h", seconds / 3600),
            seconds if seconds % 60 == 0 => write!(f, "{} min", seconds / 60),
            seconds => write!(f, "{seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::person;
    use super::*;
    use crate::identity::Email;

    fn allow_domain(domain: &str) -> Allow {
        Allow { email_domains: vec![domain.to_owned()], ..Allow::default() }
    }

    #[test]
    fn email_rules_want_a_verified_address() {
        let mut ada = person("ada", &[]);
        ada.email = Email::parse("ada@example.org", false);
        assert!(!allow_domain("example.org").matches(&ada));
        ada.email = Email::parse("ada@example.org", true);
        assert!(allow_domain("example.org").matches(&ada));
    }

    #[test]
    fn email_domains_match_whole_domains_only() {
        let mut eve = person("eve", &[]);
        for address in ["e@evil-example.org", "e@sub.example.org", "e@example.org.evil.net"] {
            eve.email = Email::parse(address, true);
            assert!(!allow_domain("example.org").matches(&eve), "{address}");
        }
    }

    #[test]
    fn groups_and_subjects_match_exactly() {
        let rule = Allow {
            groups: vec!["lab-a".to_owned()],
            subjects: vec!["ada".to_owned()],
            ..Allow::default()
        };
        assert!(rule.matches(&person("x", &["lab-a"])));
        assert!(rule.matches(&person("ada", &[])));
        for other in [person("Ada", &["LAB-A"]), person("ad", &["lab-a2", "lab"])] {
            assert!(!rule.matches(&other));
        }
    }
}
