//! `[[rule]]`: who may see what.

use super::distribution::Distribution;
use super::issuers::BelievedIssuers;
use super::quantity;
use super::raw;
use super::source::Problems;
use crate::access::{
    Allow, CookieReach, Dataset, DatasetError, Lifetime, ResourceTemplate, Rule, conflicts,
};
use crate::identity::Email;
use crate::policy::BaseUrl;

/// More rules, or resources in one, than a file that people maintain holds; every pair is compared.
const MAX_RULES: usize = 1000;
const MAX_RESOURCES: usize = 100;
const MAX_RESOURCES_IN_ALL: usize = 2000;

pub(super) fn check(
    raw: Vec<raw::Rule>,
    distributions: &[Distribution],
    believed: &BelievedIssuers,
    problems: &mut Problems,
) -> Vec<Rule> {
    if raw.is_empty() {
        problems.add("rule", "missing; without a [[rule]] nobody may see anything");
    }
    if raw.len() > MAX_RULES {
        problems.add("rule", format!("{} rules; at most {MAX_RULES} are compared", raw.len()));
        return Vec::new();
    }
    let resources: usize = raw.iter().map(|rule| rule.resources.as_ref().map_or(0, Vec::len)).sum();
    if resources > MAX_RESOURCES_IN_ALL {
        let most = MAX_RESOURCES_IN_ALL;
        problems.add("rule", format!("{resources} resources in all; at most {most} are compared"));
        return Vec::new();
    }
    let count = raw.len();
    let mut rules: Vec<Rule> = Vec::new();
    for (at, raw) in raw.into_iter().enumerate() {
        let Some(rule) = check_one(at, raw, distributions, believed, problems) else { continue };
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            problems.add(format!("rule[{at}].name"), format!("{:?} stands twice", rule.name));
        }
        rules.push(rule);
    }
    // Indexes point at the file's rules only while none has fallen out.
    if rules.len() == count && !distributions.is_empty() {
        report_conflicts(&rules, distributions, problems);
    }
    rules
}

fn report_conflicts(rules: &[Rule], distributions: &[Distribution], problems: &mut Problems) {
    let found = conflicts(rules, |base| {
        distributions
            .iter()
            .find(|distribution| distribution.base == *base)
            .map_or_else(|| CookieReach::HostOnly(base.host().to_owned()), Distribution::reach)
    });
    for conflict in found {
        problems.add(format!("rule[{}].resources", conflict.second), conflict.reason);
    }
}

fn check_one(
    at: usize,
    raw: raw::Rule,
    distributions: &[Distribution],
    believed: &BelievedIssuers,
    problems: &mut Problems,
) -> Option<Rule> {
    let key = |part: &str| format!("rule[{at}].{part}");
    let name = problems.require(&key("name"), raw.name, "name = \"lab-a\"");
    let name = name.and_then(|name| problems.take(&key("name"), check_name(name)));
    let allow = problems.require(&key("allow"), raw.allow, "allow = { groups = [\"lab-a\"] }");
    let own = raw.resources.iter().flatten().any(|resource| resource.contains('{'));
    let allow = allow.and_then(|raw| check_allow(&key("allow"), raw, own, believed, problems));
    let resources =
        check_resources(at, &raw.resources.unwrap_or_default(), distributions, problems);
    let lifetime = match raw.lifetime {
        None => Some(Lifetime::DEFAULT),
        Some(raw) => problems
            .take(&key("lifetime"), quantity::seconds(&raw))
            .and_then(|s| problems.take(&key("lifetime"), Lifetime::from_seconds(s))),
    };
    let raw_dataset = (raw.title, raw.source, raw.layer);
    let dataset = check_dataset(&key, raw_dataset, resources.as_deref(), problems);
    Some(Rule {
        name: name?,
        allow: allow?,
        resources: resources?,
        lifetime: lifetime?,
        bind_ip: raw.bind_ip.unwrap_or(false),
        share: raw.share.unwrap_or(true),
        dataset,
    })
}

type RawDataset = (Option<String>, Option<String>, Option<String>);

/// A title and a source, or neither.
fn check_dataset(
    key: &impl Fn(&str) -> String,
    raw: RawDataset,
    resources: Option<&[ResourceTemplate]>,
    problems: &mut Problems,
) -> Option<Dataset> {
    let (title, source, layer) = match raw {
        (None, None, None) => return None,
        (Some(title), Some(source), layer) => (title, source, layer),
        (None, _, _) => {
            problems.add(key("title"), "missing; a source is offered to people under a title");
            return None;
        }
        (Some(_), None, _) => {
            let message = "missing; write where the viewer finds it: \
                           source = \"zarr3://https://data.example.org/lab-a/em\"";
            problems.add(key("source"), message);
            return None;
        }
    };
    let dataset = Dataset::parse(title, source, layer).map_err(|error| {
        let part = match error {
            DatasetError::Title => "title",
            DatasetError::Text | DatasetError::Source => "source",
            DatasetError::Layer => "layer",
        };
        problems.add(key(part), error);
    });
    let dataset = dataset.ok()?;
    let covered = |resource: &ResourceTemplate| resource.may_cover(dataset.url());
    if let Some(resources) = resources.filter(|resources| !resources.iter().any(covered)) {
        let url = dataset.url();
        let folder = url::Url::parse(&format!("{url}/")).ok();
        let hint = match folder.filter(|folder| resources.iter().any(|one| one.may_cover(folder))) {
            Some(folder) => format!("; write {folder}"),
            None => String::new(),
        };
        problems.add(key("source"), format!("{url} is under none of the rule's resources{hint}"));
    }
    Some(dataset)
}

fn check_name(name: String) -> Result<String, &'static str> {
    let usable = (1..=100).contains(&name.len()) && !name.chars().any(char::is_control);
    if usable { Ok(name) } else { Err("a name is 1 to 100 bytes without control characters") }
}

/// `own` says that what the rule opens depends on the person's name.
fn check_allow(
    key: &str,
    raw: raw::Allow,
    own: bool,
    believed: &BelievedIssuers,
    problems: &mut Problems,
) -> Option<Allow> {
    let names_people = own || raw.everyone != Some(true);
    let issuers = believed.check(raw.issuers, names_people);
    let issuers = problems.take(&format!("{key}.issuers"), issuers)?;
    let allow = Allow {
        groups: raw.groups.unwrap_or_default(),
        email_domains: lower_case(raw.email_domains),
        emails: lower_case(raw.emails),
        subjects: raw.subjects.unwrap_or_default(),
        everyone: raw.everyone.unwrap_or(false),
        issuers,
    };
    if allow.is_empty() {
        problems.add(
            key,
            "allows nobody; name groups, email_domains, emails or subjects, or say everyone = true",
        );
        return None;
    }
    let mut fine = true;
    for (at, domain) in allow.email_domains.iter().enumerate() {
        if BaseUrl::parse(&format!("https://{domain}")).is_ok_and(|base| base.host() == *domain) {
            continue;
        }
        problems.add(
            format!("{key}.email_domains[{at}]"),
            format!("{domain:?} is no domain; write it whole, without @ or *"),
        );
        fine = false;
    }
    for (at, address) in allow.emails.iter().enumerate() {
        if Email::parse(address, true).is_none() || address.contains('*') {
            problems.add(format!("{key}.emails[{at}]"), format!("{address:?} is no address"));
            fine = false;
        }
    }
    fine.then_some(allow)
}

fn lower_case(texts: Option<Vec<String>>) -> Vec<String> {
    texts.unwrap_or_default().iter().map(|text| text.to_ascii_lowercase()).collect()
}

fn check_resources(
    rule: usize,
    raw: &[String],
    distributions: &[Distribution],
    problems: &mut Problems,
) -> Option<Vec<ResourceTemplate>> {
    let key = format!("rule[{rule}].resources");
    if raw.is_empty() || raw.len() > MAX_RESOURCES {
        problems.add(
            key,
            format!("a rule opens 1 to {MAX_RESOURCES} resources, such as \"https://data.example.org/lab-a/*\""),
        );
        return None;
    }
    let count = raw.len();
    let mut resources = Vec::new();
    for (at, text) in raw.iter().enumerate() {
        let key = format!("{key}[{at}]");
        let Some(resource) = problems.take(&key, ResourceTemplate::parse(text)) else { continue };
        let known = distributions.iter().any(|d| d.base == *resource.base());
        if !known && !distributions.is_empty() {
            problems
                .add(key, format!("{} is not the host of any [[distribution]]", resource.base()));
            continue;
        }
        resources.push(resource);
    }
    (resources.len() == count).then_some(resources)
}
