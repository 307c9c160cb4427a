use super::*;
use crate::identity::Front;

const MINIMAL: &str = r#"
public_url = "https://viewer.example.org"

[identity.alb]
region = "us-east-1"
signer = ["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/viewer/0123456789abcdef"]
client = "4n0tarealclientid"

[[distribution]]
host = "data.example.org"

[[rule]]
name = "lab-a"
allow = { groups = ["lab-a"] }
resources = ["https://data.example.org/lab-a/*"]

[keys]
source = "dir:keys"
"#;

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse(Path::new("/etc/edgemint.toml"), text, &Environment::new(variables))
        .map_err(|error| error.to_string())
}

fn error(text: &str) -> String {
    parse_with(text, &[]).unwrap_err()
}

#[test]
fn the_minimal_file_gets_defaults() {
    let config = parse_with(MINIMAL, &[]).unwrap();
    assert_eq!(config.site.trusted_hops, 1);
    assert_eq!(config.rules[0].lifetime, crate::access::Lifetime::DEFAULT);
    assert_eq!(config.distributions[0].cookie_domain.as_deref(), Some("example.org"));
    assert_eq!(config.keys.source, KeySource::Folder("/etc/keys".into()));
    assert!(config.limits.idle_timeout.as_secs() >= 75);
}

#[test]
fn an_empty_file_names_everything_that_is_missing() {
    let text = error("");
    for key in ["public_url", "identity", "distribution", "rule", "keys.source"] {
        assert!(text.contains(&format!("edgemint.toml:1: {key}: ")), "{key} in {text}");
    }
}

#[test]
fn problems_name_file_line_and_key() {
    let text = error(&MINIMAL.replace("[\"lab-a\"] }", "[\"lab-a\"] }\nlifetime = \"1w\""));
    assert_eq!(
        text,
        "/etc/edgemint.toml:15: rule[0].lifetime: \"1w\" is no duration; \
         write for example \"90s\", \"15m\" or \"1h\""
    );
    let text = error(&MINIMAL.replace("lab-a/*", "lab-a*"));
    assert!(text.starts_with("/etc/edgemint.toml:15: rule[0].resources[0]: "), "{text}");
}

#[test]
fn unknown_keys_and_broken_toml_are_refused_with_the_line() {
    let text = error(&MINIMAL.replace("client =", "clint ="));
    assert!(text.starts_with("/etc/edgemint.toml:7: unknown field `clint`"), "{text}");
    let text = error("listen = \n");
    assert!(text.starts_with("/etc/edgemint.toml:1: "), "{text}");
}

#[test]
fn the_environment_overrides_every_kind_of_value() {
    let config = parse_with(
        MINIMAL,
        &[
            ("EDGEMINT_LISTEN", "0.0.0.0:9000"),
            ("EDGEMINT_TRUSTED_HOPS", "2"),
            ("EDGEMINT_IDENTITY__ALB__CLIENT", "another"),
            ("EDGEMINT_RULE__0__LIFETIME", "15m"),
            ("EDGEMINT_RULE__0__ALLOW", "{ emails = [\"Ada@Example.org\"] }"),
            ("EDGEMINT_LIMITS__REQUESTS", "7"),
            ("UNRELATED", "x"),
            ("EDGEMINT_SERVICE_HOST", "10.0.0.1"),
            ("EDGEMINT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("EDGEMINT_ADMIN_SERVICE_HOST", "10.0.0.1"),
            ("EDGEMINT_METRICS_PORT_9100_TCP_ADDR", "10.0.0.1"),
        ],
    )
    .unwrap();
    assert_eq!(config.site.listen.port(), 9000);
    assert_eq!(config.site.trusted_hops, 2);
    assert_eq!(config.fronts.alb.unwrap().expected.client, "another");
    assert_eq!(config.rules[0].lifetime.seconds(), 900);
    assert_eq!(config.rules[0].allow.emails, ["ada@example.org"]);
    assert_eq!(config.limits.requests, 7);
}

#[test]
fn problems_of_the_environment_name_the_variable() {
    let text = parse_with(MINIMAL, &[("EDGEMINT_RULE__0__LIFETIME", "soon")]).unwrap_err();
    assert!(text.starts_with("EDGEMINT_RULE__0__LIFETIME: rule[0].lifetime: "), "{text}");
    let text = parse_with(MINIMAL, &[("EDGEMINT_LISTNE", "x")]).unwrap_err();
    assert!(text.starts_with("EDGEMINT_LISTNE: unknown field `listne`"), "{text}");
    let text = parse_with(MINIMAL, &[("EDGEMINT_TRUSTED_HOPS", "many")]).unwrap_err();
    assert!(text.starts_with("EDGEMINT_TRUSTED_HOPS: "), "{text}");
}

#[test]
fn odd_variables_never_panic() {
    for name in [
        "EDGEMINT_",
        "EDGEMINT____",
        "EDGEMINT_RULE__9__NAME",
        "EDGEMINT_RULE__X",
        "EDGEMINT_LISTEN__A__B",
        "EDGEMINT_0",
        "EDGEMINT_RULE__0__0__NAME",
    ] {
        let _ = parse_with(MINIMAL, &[(name, "1")]);
    }
}

#[test]
fn without_an_exact_signer_nothing_starts() {
    let start = MINIMAL.find("signer").unwrap();
    let end = start + MINIMAL[start..].find('\n').unwrap();
    for line in [
        "",
        "signer = []",
        "signer = [\"*\"]",
        "signer = [\"arn:aws:elasticloadbalancing:us-east-1:123456789012:\"]",
    ] {
        let text = error(&format!("{}{line}{}", &MINIMAL[..start], &MINIMAL[end..]));
        assert!(text.contains("identity.alb.signer"), "{text}");
    }
}

/// The smallest configuration with another front in the load balancer's place.
fn fronted(front: &str) -> String {
    let start = MINIMAL.find("[identity.alb]").unwrap();
    let end = MINIMAL.find("[[distribution]]").unwrap();
    format!("{}{front}\n{}", &MINIMAL[..start], &MINIMAL[end..])
}

#[test]
fn without_any_front_nothing_starts() {
    for none in ["", "[identity]", "[identity]\nbearer = []"] {
        let text = error(&fronted(none));
        assert!(text.contains("identity: nothing vouches for people"), "{text}");
    }
}

const FRONTS: [(&str, &[&str]); 6] = [
    (
        "[identity.verified_access]\nregion = \"us-east-1\"\n\
         signer = [\"arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-1\"]",
        &["region", "signer"],
    ),
    (
        "[identity.cloudflare_access]\nteam = \"https://t.cloudflareaccess.com\"\naudience = [\"a\"]",
        &["team", "audience"],
    ),
    ("[identity.google_iap]\naudience = [\"/projects/1/apps/a\"]", &["audience"]),
    (
        "[identity.pomerium]\nissuer = \"v.example.org\"\naudience = [\"v.example.org\"]\n\
         jwks_url = \"https://v.example.org/.well-known/pomerium/jwks.json\"",
        &["issuer", "audience", "jwks_url"],
    ),
    (
        "[[identity.bearer]]\nissuer = \"https://login.example.org\"\naudience = [\"a\"]\n\
         jwks_url = \"https://login.example.org/keys\"",
        &["issuer", "audience", "jwks_url"],
    ),
    (
        "[identity.insecure_proxy]\npeers = [\"10.0.0.7\", \"fd00::/64\"]\nissuer = \"https://p.example.org\"\n\
         secret_sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"",
        &["peers", "issuer", "secret_sha256"],
    ),
];

#[test]
fn every_front_stands_alone_and_lacks_nothing_that_binds_it() {
    for (front, needed) in FRONTS {
        parse_with(&fronted(front), &[]).unwrap();
        for key in needed {
            let less: Vec<&str> =
                front.lines().filter(|line| !line.starts_with(&format!("{key} ="))).collect();
            assert!(less.len() < front.lines().count());
            let text = error(&fronted(&less.join("\n")));
            let table = front.lines().next().unwrap().trim_matches(['[', ']']);
            assert!(text.contains(table) && text.contains(key), "{text}");
        }
        for (from, to) in [
            ("[\"", "[]#"),
            ("issuer = \"https://l", "issuer = \"http://l"),
            ("team = \"https://", "team = \"http://"),
            ("url = \"https://", "url = \"http://"),
            (":123456789012:", "::"),
            ("10.0.0.7", "0.0.0.0/0"),
            ("10.0.0.7", "proxy"),
            ("2bb8", "2bb"),
        ] {
            let wrong = front.replace(from, to);
            assert!(wrong == front || parse_with(&fronted(&wrong), &[]).is_err(), "{wrong}");
        }
    }
}

#[test]
fn sign_out_goes_where_the_vendor_says_unless_told_otherwise() {
    let host = "viewer.example.org";
    let onward = |front: &str| {
        let config = parse_with(&fronted(front), &[]).unwrap();
        config.fronts.logout_url(None, host).map(|url| url.as_str().to_owned())
    };
    let vendors = [
        None,
        Some("/cdn-cgi/access/logout"),
        Some("/?gcp-iap-mode=CLEAR_LOGIN_COOKIE"),
        Some("/.pomerium/sign_out"),
        None,
    ];
    for ((front, _), expected) in FRONTS.iter().zip(vendors) {
        assert_eq!(onward(front).as_deref(), expected, "{front}");
    }
    for (front, _) in &FRONTS[..4] {
        let told = format!("{front}\nlogout_url = \"https://login.example.org/bye\"");
        assert_eq!(onward(&told).as_deref(), Some("https://login.example.org/bye"));
    }
    let alb = |url: &str| {
        let client = "client = \"4n0tarealclientid\"";
        MINIMAL.replace(client, &format!("{client}\nlogout_url = \"{url}\""))
    };
    parse_with(&alb("https://login.example.org/logout?client_id=4n0t"), &[]).unwrap();
    let text = error(&alb("http://login.example.org/logout"));
    assert!(text.starts_with("/etc/edgemint.toml:8: identity.alb.logout_url: "), "{text}");
}

#[test]
fn sign_out_goes_where_the_front_says_that_vouches_for_the_person() {
    let fronts = format!("{}\n{}", FRONTS[1].0, FRONTS[3].0);
    let text = fronted(&fronts).replace(
        "[[distribution]]",
        "logout_url = \"/bye\"\nhosts = [\"scripts.example.org\"]\n[[distribution]]",
    );
    let text = format!("other_urls = [\"https://scripts.example.org\"]\n{text}")
        .replace("groups = [\"lab-a\"] }", "groups = [\"lab-a\"], issuers = [\"any\"] }");
    let fronts = parse_with(&text, &[]).unwrap().fronts;
    let onward = |front, host| fronts.logout_url(front, host).unwrap().as_str();
    let access = "/cdn-cgi/access/logout";
    assert_eq!(onward(Some(Front::Pomerium), "scripts.example.org"), "/bye");
    assert_eq!(onward(Some(Front::CloudflareAccess), "scripts.example.org"), access);
    assert_eq!(onward(Some(Front::Pomerium), "viewer.example.org"), access, "not believed there");
}

#[test]
fn cognitos_bearer_tokens_need_no_more_than_their_client() {
    let front = "[[identity.bearer]]\n\
                 issuer = \"https://cognito-idp.cn-north-1.amazonaws.com.cn/pool\"\nclient = [\"c\"]";
    let config = parse_with(&fronted(front), &[]).unwrap();
    let [bearer] = config.fronts.signed.as_slice() else { panic!("{:?}", config.fronts) };
    assert_eq!(bearer.expected.token_use.as_deref(), Some("access"));
    let jwks = "https://cognito-idp.cn-north-1.amazonaws.com.cn/pool/.well-known/jwks.json";
    assert_eq!(bearer.keys, KeyPlace::Jwks(jwks.to_owned()));
    let stranger = front.replace("amazonaws.com.cn", "amazonaws.com.evil.net");
    assert!(error(&fronted(&stranger)).contains("jwks_url"));
}

#[test]
fn two_bearer_tables_of_one_issuer_would_be_ambiguous() {
    let front = FRONTS[4].0;
    let twice = |hosts: [&str; 2]| {
        let other = format!("other_urls = [\"https://scripts.example.org\"]\n{MINIMAL}");
        let text = hosts.map(|hosts| format!("{front}\nhosts = [\"{hosts}\"]")).join("\n");
        let start = other.find("[identity.alb]").unwrap();
        let end = other.find("[[distribution]]").unwrap();
        parse_with(&format!("{}{text}\n{}", &other[..start], &other[end..]), &[]).map(|_| ())
    };
    assert_eq!(twice(["viewer.example.org", "scripts.example.org"]), Ok(()));
    assert!(twice(["viewer.example.org"; 2]).unwrap_err().contains("the same issuer"));
    assert!(twice(["viewer.example.org", "other.example.org"]).unwrap_err().contains("hosts[0]"));
}

#[test]
fn where_several_issuers_are_believed_a_rule_says_whose_people_it_means() {
    let with = |front: &str, issuers: &str| {
        let before = "[[distribution]]";
        let text = MINIMAL
            .replacen(before, &format!("{front}\n{before}"), 1)
            .replace("groups = [\"lab-a\"] }", &format!("groups = [\"lab-a\"]{issuers} }}"));
        parse_with(&text, &[]).map(|config| config.rules[0].allow.issuers.clone())
    };
    let bearer = FRONTS[4].0;
    assert_eq!(with("", ""), Ok(None));
    // The load balancer's issuer is not pinned, so any may be its.
    assert_eq!(with("", ", issuers = [\"https://idp.example.org\"]").unwrap().unwrap().len(), 1);
    let text = with(bearer, "").unwrap_err();
    assert!(text.contains("rule[0].allow.issuers: several issuers are believed"), "{text}");
    assert_eq!(with(bearer, ", issuers = [\"any\"]"), Ok(None));
    let named = with(bearer, ", issuers = [\"https://login.example.org\"]");
    assert_eq!(named, Ok(Some(vec!["https://login.example.org".to_owned()])));
    for (issuers, reason) in [
        (", issuers = []", "nobody's people"),
        (", issuers = [\"any\", \"https://login.example.org\"]", "stands alone"),
    ] {
        assert!(with(bearer, issuers).unwrap_err().contains(reason));
    }
    let rule = |text: &str| {
        parse_with(&fronted(&format!("{bearer}\n")).replace("groups = [\"lab-a\"]", text), &[])
    };
    assert!(
        rule("groups = [\"a\"], issuers = [\"https://typo.example.org\"]")
            .unwrap_err()
            .contains("no front")
    );
    assert!(rule("everyone = true").is_ok());
}

#[test]
fn everyone_needs_no_issuer_unless_names_make_paths() {
    let two = format!("{}\n{}", FRONTS[4].0, FRONTS[3].0);
    let rule = |path: &str| {
        let text = fronted(&two)
            .replace("groups = [\"lab-a\"]", "everyone = true")
            .replace("/lab-a/*", path);
        parse_with(&text, &[]).map(|_| ())
    };
    assert_eq!(rule("/open/*"), Ok(()));
    assert!(rule("/people/{subject}/*").unwrap_err().contains("rule[0].allow.issuers"));
}

#[test]
fn other_urls_set_the_same_cookies_or_are_refused() {
    let with = |url: &str| parse_with(&format!("other_urls = [\"{url}\"]\n{MINIMAL}"), &[]);
    let config = with("https://scripts.example.org").unwrap();
    assert_eq!(config.site.urls().count(), 2);
    for (url, reason) in [
        ("https://viewer.example.net", "cannot set the cookies"),
        ("https://viewer.example.org", "stands here already"),
        ("https://viewer.example.org:8443", "stands here already"),
        ("http://scripts.example.org", "plain http"),
    ] {
        let text = with(url).map(|_| ()).unwrap_err();
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn rules_that_would_overlap_are_refused_by_name() {
    let second = r#"
[[rule]]
name = "inner"
allow = { everyone = true }
resources = ["https://data.example.org/lab-a/raw/*"]
lifetime = "8h"
"#;
    let text = error(&format!("{MINIMAL}{second}"));
    assert!(text.contains("\"inner\"") && text.contains("\"lab-a\""), "{text}");
}

#[test]
fn a_resource_on_an_unknown_host_is_refused() {
    let text =
        error(&MINIMAL.replace("https://data.example.org/lab", "https://dta.example.org/lab"));
    assert!(
        text.contains("https://dta.example.org is not the host of any [[distribution]]"),
        "{text}"
    );
}

#[test]
fn stand_ins_are_refused_by_a_site_on_a_network() {
    let keys = "region = \"us-east-1\"\npublic_key_url = \"http://127.0.0.1:9000/{kid}\"";
    let text = error(&MINIMAL.replace("region = \"us-east-1\"", keys));
    assert!(text.contains("identity.alb.public_key_url"), "{text}");
    let text = error(&MINIMAL.replace("123456789012", "000000000000"));
    assert!(text.contains("stand-in"), "{text}");
    let groups = "region = \"us-east-1\"\ngroups = { issuer = \"http://127.0.0.1:9/x\" }";
    let text = error(&MINIMAL.replace("region = \"us-east-1\"", groups));
    assert!(text.contains("identity.alb.groups.issuer"), "{text}");
}

#[test]
fn a_ring_among_credentials_is_named_and_needs_a_manager_that_gives_some() {
    let credential = |name: &str| MINIMAL.replace("dir:keys", &format!("credential:{name}"));
    let given = [("CREDENTIALS_DIRECTORY", "/run/credentials/edgemint.service")];
    let config = parse_with(&credential("keys"), &given).unwrap();
    let folder = "/run/credentials/edgemint.service".into();
    assert_eq!(config.keys.source, KeySource::Credential { folder, name: "keys".to_owned() });
    let text = error(&credential("keys"));
    assert!(text.contains("LoadCredential=keys:FOLDER"), "{text}");
    for name in ["", "../keys", "a/b", "keys.pem", "ke ys"] {
        let text = parse_with(&credential(name), &given).unwrap_err();
        assert!(text.contains("is no source of keys"), "{name}: {text}");
    }
}

#[test]
fn a_kms_key_that_everybody_can_use_is_refused() {
    let with = |key: &str| format!("{MINIMAL}\n[rotation]\nkms_key = {key:?}\n");
    for key in ["alias/edgemint", "arn:aws:kms:us-east-1:123456789012:key/mrk-0123"] {
        let config = parse_with(&with(key), &[]).unwrap();
        assert_eq!(config.rotation.kms_key, key);
    }
    for (key, expected) in [
        ("", "is no KMS key"),
        ("alias/edge mint", "is no KMS key"),
        ("alias/aws/ssm", "everybody in the account"),
        ("arn:aws:kms:us-east-1:123456789012:alias/aws/ssm", "everybody in the account"),
    ] {
        let error = error(&with(key));
        assert!(error.contains("rotation.kms_key") && error.contains(expected), "{error}");
    }
}

#[test]
fn an_outage_is_longer_than_three_looks_at_parameter_store() {
    let with = |source: &str, poll: &str, outage: &str| {
        let keys = format!("{source}\"\npoll_interval = \"{poll}\"\nmax_outage = \"{outage}\"");
        MINIMAL.replace("dir:keys\"", &keys)
    };
    for (poll, outage) in [("30s", "89s"), ("1h", "2h"), ("21s", "60s")] {
        let text = error(&with("ssm:/edgemint/prod", poll, outage));
        assert!(text.starts_with("/etc/edgemint.toml:20: keys.max_outage: "), "{text}");
        assert!(text.contains("keys.poll_interval"), "{text}");
        assert!(parse_with(&with("dir:keys", poll, outage), &[]).is_ok(), "no poll, no bound");
    }
    let text = error(&MINIMAL.replace("dir:keys\"", "ssm:/edgemint/prod\"\nmax_outage = \"60s\""));
    assert!(text.contains("write 90 or more"), "{text}");
    for (poll, outage) in [("30s", "90s"), ("1h", "3h"), ("20s", "60s")] {
        assert!(parse_with(&with("ssm:/edgemint/prod", poll, outage), &[]).is_ok());
    }
}

#[test]
fn the_load_balancer_is_no_instance() {
    let with = |url: &str| format!("{MINIMAL}\n[rotation]\ninstances = [{url:?}]\n");
    for url in [
        "https://viewer.example.org",
        "http://viewer.example.org:8080",
        "https://VIEWER.example.org",
        "https://viewer.example.org.",
    ] {
        let text = error(&with(url));
        assert!(text.contains("rotation.instances[0]: "), "{text}");
        assert!(text.contains("public_url") && text.contains("rotation.target_group"), "{text}");
    }
    for url in ["http://10.0.1.5:8080", "http://instances.viewer.example.org:8080"] {
        let config = parse_with(&with(url), &[]).unwrap();
        assert_eq!(config.rotation.instances.len(), 1);
    }
}

#[test]
fn origins_are_exact_and_never_a_wildcard() {
    let with = |origins: &str| format!("{MINIMAL}\n[cors]\norigins = [{origins:?}]\n");
    for (origin, expected) in [
        ("https://notebook.example.org", "https://notebook.example.org"),
        ("https://notebook.example.org/", "https://notebook.example.org"),
        ("https://notebook.example.org:8443", "https://notebook.example.org:8443"),
        ("http://localhost:8888", "http://localhost:8888"),
    ] {
        let config = parse_with(&with(origin), &[]).unwrap();
        assert_eq!(config.cors.origins[0].as_str(), expected);
    }
    for origin in [
        "*",
        "https://*.example.org",
        "null",
        "notebook.example.org",
        "http://notebook.example.org",
        "https://notebook.example.org/lab",
        "https://notebook.example.org:443",
        "https://Notebook.example.org",
        "http://127.0.0.1:8888",
        "",
    ] {
        let error = error(&with(origin));
        assert!(error.contains("cors.origins[0]: "), "{origin}: {error}");
    }
}
