//! Signatures per second on one core, beside `openssl speed`.

use std::time::Duration;

use edgemint::access::Grant;
use edgemint::clock::EpochSeconds;
use edgemint::policy::{Custom, Policy, Resource};
use edgemint::signing::{HashAlgorithm, PrivateKey, SigningKey, sign};

use crate::openssl;
use crate::report::Report;
use crate::samples::{ROUNDS, Samples, per_second};
use crate::site::{KEY_PAIR_ID, Site};

const ROUND: Duration = Duration::from_secs(1);

/// Per round four of ours, and two of OpenSSL's with a signature and a verification each.
pub(crate) const SECONDS: u64 = ROUNDS as u64 * 8;

struct Case {
    name: &'static str,
    key: SigningKey,
    hash: HashAlgorithm,
    ours: Samples,
}

/// One kind of key, over both digests.
struct Kind {
    algorithm: &'static str,
    cases: [Case; 2],
    openssl: Samples,
}

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let mut kinds = [
        kind("rsa2048", site.key_pem(), ["RSA-2048, SHA-1", "RSA-2048, SHA-256"])?,
        kind("ecdsap256", &p256_pem()?, ["P-256, SHA-1", "P-256, SHA-256"])?,
    ];
    for round in 1..=ROUNDS {
        report.progress(&format!("signing on one core, round {round} of {ROUNDS}"));
        for kind in &mut kinds {
            let [first, second] = &mut kind.cases;
            first.measure()?;
            kind.openssl.add(openssl::speed(kind.algorithm, 1)?.sign);
            second.measure()?;
        }
    }
    report.say("### Signing, one core, signatures per second");
    let rows: Vec<_> = kinds.iter().flat_map(Kind::rows).collect();
    report.table(&["", "edgemint", "`openssl speed`", "ratio"], &rows);
    Ok(())
}

fn p256_pem() -> anyhow::Result<String> {
    openssl::private_key(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
}

fn kind(algorithm: &'static str, pem: &str, names: [&'static str; 2]) -> anyhow::Result<Kind> {
    let key = PrivateKey::from_pem(pem)?.into();
    let key = SigningKey { id: KEY_PAIR_ID.parse()?, key };
    let [first, second] = names;
    let case = |name, hash| Case { name, key: key.clone(), hash, ours: Samples::default() };
    let cases = [case(first, HashAlgorithm::Sha1), case(second, HashAlgorithm::Sha256)];
    Ok(Kind { algorithm, cases, openssl: Samples::default() })
}

impl Case {
    /// From a policy to the cookies' values: JSON, digest, signature, base64. OpenSSL's figure is
    /// the signature alone.
    fn measure(&mut self) -> anyhow::Result<()> {
        let resource = Resource::parse("https://data.example.org/lab-a/*")?;
        let grant = Grant::by_operator(resource.clone());
        let policies: Vec<Policy> =
            (0..1000).map(|n| policy(&resource, n)).collect::<Result<_, _>>()?;
        sign(&grant, policies[0].clone(), &self.key, self.hash)?;
        let one = |n: usize| {
            sign(&grant, policies[n % policies.len()].clone(), &self.key, self.hash).is_ok()
        };
        self.ours.add(per_second(ROUND, one)?);
        Ok(())
    }
}

fn policy(resource: &Resource, n: u64) -> Result<Policy, edgemint::policy::StatementError> {
    Policy::custom(Custom {
        resource: resource.clone(),
        expires: EpochSeconds(1_900_000_000 + n),
        starts: None,
        source_ip: None,
    })
}

impl Kind {
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |case: &Case| {
            let ratio = case.ours.over(&self.openssl).show();
            vec![case.name.to_owned(), case.ours.show(), self.openssl.show(), ratio]
        };
        self.cases.iter().map(row).collect()
    }
}
