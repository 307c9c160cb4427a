//! What is not wrong, but surprises people, or is likely to be a mistake.

use super::span;
use crate::access::{Dataset, Rule, Unfamiliar};
use crate::config::{Config, Distribution, HandoffHost, LoginFront, Provider};

pub(super) fn of(config: &Config) -> Vec<String> {
    let mut notes = of_groups(config);
    notes.extend(config.rules.iter().flat_map(of_dataset));
    if let Some(login) = &config.fronts.login {
        notes.extend(of_login(login));
    }
    for distribution in &config.distributions {
        if distribution.is_at(&config.site.public_url) {
            notes.extend(of_one_host(config, distribution));
        }
        notes.extend(distribution.handoff.map(|taken| of_handoff(distribution, taken)));
    }
    for origin in config.cors.of_other_sites(&config.site.public_url) {
        notes.push(format!(
            "{origin} is another site than {}: browsers send no sign-in from there, and keep no cookies",
            config.site.public_url
        ));
    }
    if config.rules.iter().any(|rule| rule.bind_ip) {
        notes.push(
            "rules bind cookies to an IPv4 address: do not enable IPv6 on that distribution"
                .to_owned(),
        );
    }
    notes.push(
        "let CloudFront list the bucket (s3:ListBucket), so that absent objects are 404 and not 403"
            .to_owned(),
    );
    notes
}

/// What the distribution in front of both must do, which cannot be seen from here.
fn of_one_host(config: &Config, distribution: &Distribution) -> Vec<String> {
    let path = &distribution.path;
    let keys = path.as_str().trim_start_matches('/');
    let mut notes = vec![
        "data is served from the viewer's own host: HTML in it would run as the viewer, so let \
         every data answer carry Content-Security-Policy: sandbox; default-src 'none'"
            .to_owned(),
        format!(
            "one distribution is in front of data and viewer: a behavior for {path}* to the bucket, with \
             viewer access restricted, and the default one to the service, with all methods, the Host \
             header, all cookies and query strings, and no caching"
        ),
        format!("CloudFront strips no path: keys in the bucket begin with {keys}"),
    ];
    let hops = config.site.trusted_hops;
    if hops < 2 {
        let taken = if hops == 0 { "the load balancer's" } else { "CloudFront's" };
        notes.push(format!(
            "trusted_hops is {hops}: with CloudFront in front of a load balancer, the browser's address is \
             the second from the right, and this takes {taken} for everybody's; set trusted_hops = 2"
        ));
    }
    notes
}

fn of_handoff(distribution: &Distribution, taken: HandoffHost) -> String {
    format!(
        "{} takes handoffs: its distribution needs a behavior for /session/* to the service, with all \
         methods, the Host header, all cookies and query strings, and no caching; the browser's address is \
         taken from entry {} from the right of X-Forwarded-For there",
        distribution.base, taken.trusted_hops
    )
}

fn of_groups(config: &Config) -> Vec<String> {
    if config.fronts.bring_groups() {
        return Vec::new();
    }
    let rules: Vec<&str> = config
        .rules
        .iter()
        .filter(|rule| !rule.allow.groups.is_empty())
        .map(|rule| rule.name.as_str())
        .collect();
    if rules.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "nothing under [identity] says where groups are, so the groups in these rules let nobody in: {}; \
         name the claim that lists them, such as groups = {{ claim = \"groups\" }} of a provider",
        rules.join(", ")
    )]
}

/// A word that is misspelt, or another viewer's.
fn of_dataset(rule: &Rule) -> Vec<String> {
    let words = rule.dataset.iter().flat_map(Dataset::unfamiliar);
    let note = |Unfamiliar { word, known }| {
        format!(
            "the rule {:?} shows its dataset as {word:?}, which Neuroglancer 2.41 does not know, unless it \
             was built with more; there it knows {}",
            rule.name,
            known.join(", ")
        )
    };
    words.map(note).collect()
}

fn of_login(login: &LoginFront) -> Vec<String> {
    let mut notes = Vec::new();
    if login.recheck >= login.lifetime {
        notes.push(format!(
            "identity.login.recheck ({}) is not shorter than identity.login.lifetime ({}): the provider \
             is never asked whether somebody may still come in",
            span(login.recheck),
            span(login.lifetime)
        ));
    }
    for (at, provider) in login.providers.iter().enumerate() {
        if provider.userinfo && provider.groups_claim.is_none() {
            notes.push(format!(
                "{}: groups.from = \"userinfo\" without groups.claim: the endpoint is asked for an \
                 e-mail address at most, and nobody is in any group",
                provider.name
            ));
        }
        for other in login.providers[..at].iter().filter(|other| is_same(other, provider)) {
            notes.push(format!(
                "{} and {} have the same issuer and client, and are offered at the same host: people \
                 choose between two names of one thing; hosts, or parameters, tell them apart",
                other.name, provider.name
            ));
        }
    }
    notes
}

/// Two may be one client on purpose, where parameters send people to different places.
fn is_same(one: &Provider, other: &Provider) -> bool {
    one.issuer == other.issuer
        && one.client == other.client
        && one.parameters == other.parameters
        && one.scopes == other.scopes
        && one.hosts.meet(&other.hosts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    fn notes(hops: u8, distribution: &str, resource: &str) -> String {
        let text = format!(
            r#"
            public_url = "https://viewer.example.org"
            trusted_hops = {hops}
            [[identity.bearer]]
            issuer = "https://idp.example.org"
            jwks_url = "https://idp.example.org/jwks"
            audience = ["viewer"]
            [[rule]]
            name = "all"
            allow = {{ everyone = true }}
            resources = ["https://{resource}"]
            [keys]
            source = "dir:keys"
            {distribution}
            "#
        );
        let config = parse(Path::new("edgemint.toml"), &text, &Environment::default());
        of(&config.unwrap_or_else(|error| panic!("{error}"))).join("\n")
    }

    #[test]
    fn one_host_has_its_traps_named() {
        let one = "[[distribution]]\nhost = \"viewer.example.org\"\npath = \"/data/\"";
        let text = notes(1, one, "viewer.example.org/data/*");
        for part in [
            "Content-Security-Policy: sandbox; default-src 'none'",
            "a behavior for /data/* to the bucket",
            "keys in the bucket begin with data/",
            "set trusted_hops = 2",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let without_proxy = notes(0, one, "viewer.example.org/data/*");
        assert!(without_proxy.contains("takes the load balancer's for"), "{without_proxy}");
        assert!(!notes(2, one, "viewer.example.org/data/*").contains("trusted_hops"));
    }

    #[test]
    fn a_format_or_layer_that_neuroglancer_does_not_know_is_named_with_those_it_knows() {
        let of = |source: &str, layer: &str| {
            let distribution = "[[distribution]]\nhost = \"data.example.org\"";
            // Further keys of the rule, and what stands behind the resource as a comment.
            let rule = format!(
                "data.example.org/*\"]\ntitle = \"EM\"\nsource = \"{source}\"\nlayer = \"{layer}\" # "
            );
            let text = notes(1, distribution, &rule);
            let lines = text.lines().filter(|line| line.contains("does not know"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(of("zarr3://https://data.example.org/a", "image").is_empty());
        let [layer, format] = &of("zar3://https://data.example.org/a", "segmentaton")[..] else {
            panic!("two notes")
        };
        assert!(layer.contains("the rule \"all\" shows its dataset as \"segmentaton\""), "{layer}");
        assert!(layer.contains("there it knows image, segmentation, annotation, "), "{layer}");
        assert!(format.contains("\"zar3\"") && format.contains("zarr, zarr2, zarr3, "), "{format}");
    }

    #[test]
    fn a_host_that_takes_handoffs_says_what_its_distribution_needs() {
        let host = "[handoff]\nkeys_file = \"k\"\n[[distribution]]\nhost = \"b.example.org\"\n\
                    handoff = true";
        let text = notes(1, host, "b.example.org/*");
        assert!(text.contains("a behavior for /session/* to the service"), "{text}");
        assert!(text.contains("entry 2 from the right of X-Forwarded-For"), "{text}");
        assert!(!text.contains("the viewer's own host"), "{text}");
    }
}
