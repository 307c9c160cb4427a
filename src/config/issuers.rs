//! Whose people a rule is for, where several issuers are believed.

use std::collections::BTreeSet;

/// Every issuer that is believed; `None` is one that a front does not pin.
#[derive(Clone, Debug, Default)]
pub(super) struct BelievedIssuers {
    named: BTreeSet<String>,
    open: usize,
}

/// What a rule says that is for people of every issuer.
const ANY: &str = "any";

impl FromIterator<Option<String>> for BelievedIssuers {
    fn from_iter<I: IntoIterator<Item = Option<String>>>(issuers: I) -> Self {
        let mut believed = Self::default();
        for issuer in issuers {
            match issuer {
                Some(issuer) => drop(believed.named.insert(issuer)),
                None => believed.open += 1,
            }
        }
        believed
    }
}

impl BelievedIssuers {
    /// Checks the issuers of a rule; `names_people` says that it is not for just everyone, so that with
    /// several issuers it must say whose people it means.
    pub(super) fn check(
        &self,
        issuers: Option<Vec<String>>,
        names_people: bool,
    ) -> Result<Option<Vec<String>>, String> {
        let Some(issuers) = issuers else {
            let several = self.named.len() + self.open > 1;
            return if names_people && several { Err(self.ambiguous()) } else { Ok(None) };
        };
        if issuers == [ANY] {
            return Ok(None);
        }
        if issuers.is_empty() {
            return Err("names nobody's people; name issuers, or leave it out".to_owned());
        }
        if issuers.iter().any(|issuer| issuer == ANY) {
            return Err(format!("{ANY:?} stands alone"));
        }
        let stranger = issuers.iter().find(|issuer| !self.named.contains(*issuer));
        match stranger.filter(|_| self.open == 0) {
            Some(stranger) => {
                Err(format!("{stranger:?} is the issuer of no front under [identity]"))
            }
            None => Ok(Some(issuers)),
        }
    }

    fn ambiguous(&self) -> String {
        let named: Vec<&str> = self.named.iter().map(String::as_str).collect();
        let open = match self.open {
            0 => String::new(),
            open => format!(" and {open} that no issuer is pinned for"),
        };
        let example = named.first().copied().unwrap_or("https://login.example.org");
        format!(
            "several issuers are believed ({}{open}), and what a group, a subject or an address means is its \
             issuer's to say: name whose people these are, such as issuers = [{example:?}], or say \
             issuers = [{ANY:?}]",
            named.join(", ")
        )
    }
}
