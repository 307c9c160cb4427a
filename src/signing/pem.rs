//! PEM files in every form that key tools write, and what to do about the ones that do not fit.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RsaKeyPair};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::RsaPrivateKeyBuilder;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _};
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use super::key::{PrivateKey, PublicKey, Sha256Signer};

/// The most bytes that are read as a PEM file; an RSA-4096 key takes 3,300.
pub(super) const MAX_PEM_BYTES: usize = 64 * 1024;

/// Why a PEM text is no key that CloudFront can trust. Never holds a part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM block that is a key.
    #[error("no PEM block of a key: expected -----BEGIN PRIVATE KEY----- or similar, found {0}")]
    NotAKey(String),
    /// A passphrase protects the key, and a service has nobody to ask.
    #[error(
        "the key is encrypted with a passphrase; write it without one: \
         openssl pkey -in KEY.pem -out PLAIN.pem"
    )]
    Encrypted,
    /// `ssh-keygen`'s own format.
    #[error("the key is in OpenSSH's format; convert a copy: ssh-keygen -p -m PEM -f COPY-OF-KEY")]
    OpenSsh,
    /// The public half where the private one is needed, or the other way around.
    #[error("this is a {found}, but a {wanted} is needed")]
    WrongHalf {
        /// What the file holds.
        found: &'static str,
        /// What is needed.
        wanted: &'static str,
    },
    /// An RSA key of another size.
    #[error(
        "the RSA key has {0} bits; CloudFront trusts exactly 2048: \
         openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out KEY.pem"
    )]
    RsaSize(usize),
    /// Another curve or algorithm, or damaged data.
    #[error("the key is damaged, or neither RSA-2048 nor ECDSA P-256, the kinds CloudFront trusts")]
    Unsupported,
    /// The cryptographic library failed.
    #[error("the cryptographic library refused the key")]
    Backend,
}

const PRIVATE: &str = "private key";
const PUBLIC: &str = "public key";

/// The labels that matter, in the order in which they are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Encrypted,
    OpenSsh,
    Pkcs8,
    Pkcs1,
    Sec1,
    Spki,
    Pkcs1Public,
}

const LABELS: [(&str, Label); 7] = [
    ("ENCRYPTED PRIVATE KEY", Label::Encrypted),
    ("OPENSSH PRIVATE KEY", Label::OpenSsh),
    ("PRIVATE KEY", Label::Pkcs8),
    ("RSA PRIVATE KEY", Label::Pkcs1),
    ("EC PRIVATE KEY", Label::Sec1),
    ("PUBLIC KEY", Label::Spki),
    ("RSA PUBLIC KEY", Label::Pkcs1Public),
];

pub(super) fn read_private(text: &str) -> Result<PrivateKey, KeyError> {
    let (label, block) = find_block(text)?;
    match label {
        Label::Encrypted => Err(KeyError::Encrypted),
        Label::OpenSsh => Err(KeyError::OpenSsh),
        Label::Spki | Label::Pkcs1Public => {
            Err(KeyError::WrongHalf { found: PUBLIC, wanted: PRIVATE })
        }
        _ if block.contains("Proc-Type: 4,ENCRYPTED") => Err(KeyError::Encrypted),
        Label::Pkcs1 => rsa_private(&RsaPrivateKey::from_pkcs1_pem(block).map_err(unsupported)?),
        Label::Sec1 => p256_private(&p256::SecretKey::from_sec1_pem(block).map_err(unsupported)?),
        Label::Pkcs8 => match p256::SecretKey::from_pkcs8_pem(block) {
            Ok(key) => p256_private(&key),
            Err(_) => rsa_private(&RsaPrivateKey::from_pkcs8_pem(block).map_err(unsupported)?),
        },
    }
}

pub(super) fn read_public(text: &str) -> Result<PublicKey, KeyError> {
    let (label, block) = find_block(text)?;
    match label {
        Label::Spki => match p256::PublicKey::from_public_key_pem(block) {
            Ok(key) => Ok(PublicKey::P256(key.into())),
            Err(_) => rsa_public(RsaPublicKey::from_public_key_pem(block).map_err(unsupported)?),
        },
        Label::Pkcs1Public => rsa_public(RsaPublicKey::from_pkcs1_pem(block).map_err(unsupported)?),
        _ => Err(KeyError::WrongHalf { found: PRIVATE, wanted: PUBLIC }),
    }
}

/// Cuts the one block out of what may hold parameters, comments or text besides.
fn find_block(text: &str) -> Result<(Label, &str), KeyError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(KeyError::NotAKey(format!("a file of {} bytes", text.len())));
    }
    for (name, label) in LABELS {
        let end_line = format!("-----END {name}-----");
        let begin = text.find(&format!("-----BEGIN {name}-----"));
        let end = text.find(&end_line);
        if let (Some(begin), Some(end)) = (begin, end)
            && begin < end
        {
            return Ok((label, &text[begin..end + end_line.len()]));
        }
    }
    let first_label = text
        .split_once("-----BEGIN ")
        .and_then(|(_, rest)| rest.split_once("-----"))
        .map(|(name, _)| name)
        .filter(|name| {
            name.len() < 40 && name.bytes().all(|b| b.is_ascii_uppercase() || b == b' ')
        });
    Err(KeyError::NotAKey(match first_label {
        Some(name) => format!("only -----BEGIN {name}----- or a block without its end"),
        None => "none".to_owned(),
    }))
}

/// The parser's own words could quote the file.
fn unsupported<E>(_: E) -> KeyError {
    KeyError::Unsupported
}

fn check_size(key: &impl rsa::traits::PublicKeyParts) -> Result<(), KeyError> {
    match key.n().bits() {
        2048 => Ok(()),
        bits => Err(KeyError::RsaSize(bits)),
    }
}

fn rsa_public(key: RsaPublicKey) -> Result<PublicKey, KeyError> {
    check_size(&key)?;
    Ok(PublicKey::Rsa(key))
}

fn rsa_private(key: &RsaPrivateKey) -> Result<PrivateKey, KeyError> {
    check_size(key)?;
    let der = key.to_pkcs8_der().map_err(|_| KeyError::Backend)?;
    let with_sha1 = openssl_rsa(key).ok_or(KeyError::Backend)?;
    let with_sha256 = RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(unsupported)?;
    let public = PublicKey::Rsa(key.to_public_key());
    Ok(PrivateKey::assemble(with_sha1, Sha256Signer::Rsa(with_sha256), public))
}

/// Number by number: where OpenSSL reads DER, a copy of the secret numbers stays in freed memory of its own,
/// which our allocator does not overwrite.
fn openssl_rsa(key: &RsaPrivateKey) -> Option<PKey<Private>> {
    let [p, q] = key.primes() else { return None };
    let (dp, dq, inverse) = (key.dp()?, key.dq()?, key.crt_coefficient()?);
    let build = || -> Result<_, ErrorStack> {
        let key = RsaPrivateKeyBuilder::new(number(key.n())?, number(key.e())?, number(key.d())?)?
            .set_factors(number(p)?, number(q)?)?
            .set_crt_params(number(dp)?, number(dq)?, number(&inverse)?)?;
        PKey::from_rsa(key.build())
    };
    build().ok()
}

fn number(value: &BigUint) -> Result<BigNum, ErrorStack> {
    BigNum::from_slice(&Zeroizing::new(value.to_bytes_be()))
}

fn p256_private(key: &p256::SecretKey) -> Result<PrivateKey, KeyError> {
    let der = key.to_pkcs8_der().map_err(|_| KeyError::Backend)?;
    let with_sha1 = openssl_p256(key).map_err(|_| KeyError::Backend)?;
    let with_sha256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.as_bytes())
        .map_err(unsupported)?;
    let public = PublicKey::P256(key.public_key().into());
    Ok(PrivateKey::assemble(with_sha1, Sha256Signer::P256(with_sha256), public))
}

fn openssl_p256(key: &p256::SecretKey) -> Result<PKey<Private>, ErrorStack> {
    let secret = Zeroizing::new(<[u8; 32]>::from(key.to_bytes()));
    let public = key.public_key().to_encoded_point(false);
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let point = EcPoint::from_bytes(&group, public.as_bytes(), &mut *BigNumContext::new()?)?;
    let secret = BigNum::from_slice(&*secret)?;
    PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &point)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = include_str!("../../keys-example/rsa-2048.private.pem");
    const RSA_PUBLIC: &str = include_str!("../../keys-example/rsa-2048.public.pem");
    const EC: &str = include_str!("../../keys-example/p-256.private.pem");

    fn openssl(key: &PKey<openssl::pkey::Private>) -> [String; 2] {
        let pkcs8 = key.private_key_to_pem_pkcs8().unwrap();
        let traditional = match key.rsa() {
            Ok(rsa) => rsa.private_key_to_pem().unwrap(),
            Err(_) => key.ec_key().unwrap().private_key_to_pem().unwrap(),
        };
        [pkcs8, traditional].map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_form_of_one_key_reads_alike() {
        for pem in [RSA, EC] {
            let key = PKey::private_key_from_pem(pem.as_bytes()).unwrap();
            for form in openssl(&key) {
                let surrounded = format!("Bag Attributes\n  x\n{form}\ntrailing");
                let read = read_private(&surrounded.replace('\n', "\r\n")).unwrap();
                assert_eq!(read.public(), read_private(pem).unwrap().public());
            }
        }
    }

    #[test]
    fn sec1_behind_ec_parameters_reads() {
        let key = PKey::private_key_from_pem(EC.as_bytes()).unwrap();
        let [_, sec1] = openssl(&key);
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        assert!(read_private(&format!("{parameters}{sec1}")).is_ok());
    }

    #[test]
    fn encrypted_keys_are_refused_with_the_command_to_run() {
        let key = PKey::private_key_from_pem(RSA.as_bytes()).unwrap();
        let cipher = openssl::symm::Cipher::aes_128_cbc();
        let pkcs8 = key.private_key_to_pem_pkcs8_passphrase(cipher, b"x").unwrap();
        let legacy = key.rsa().unwrap().private_key_to_pem_passphrase(cipher, b"x").unwrap();
        for pem in [pkcs8, legacy] {
            let error = read_private(&String::from_utf8(pem).unwrap()).unwrap_err();
            assert_eq!(error, KeyError::Encrypted);
            assert!(error.to_string().contains("openssl pkey"));
        }
    }

    #[test]
    fn weak_and_odd_keys_are_refused_with_their_size() {
        for bits in [1024, 3072] {
            let rsa = openssl::rsa::Rsa::generate(bits).unwrap();
            let [pkcs8, pkcs1] = openssl(&PKey::from_rsa(rsa).unwrap());
            for pem in [pkcs8, pkcs1] {
                assert_eq!(read_private(&pem).unwrap_err(), KeyError::RsaSize(bits as usize));
            }
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        let p384 = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::SECP384R1).unwrap();
        let ec = openssl::ec::EcKey::generate(&p384).unwrap();
        for pem in openssl(&PKey::from_ec_key(ec).unwrap()) {
            assert_eq!(read_private(&pem).unwrap_err(), KeyError::Unsupported);
        }
        let ed = PKey::generate_ed25519().unwrap().private_key_to_pem_pkcs8().unwrap();
        assert!(read_private(&String::from_utf8(ed).unwrap()).is_err());
    }

    #[test]
    fn the_wrong_half_is_named() {
        let wanted_private = read_private(RSA_PUBLIC).unwrap_err();
        assert_eq!(wanted_private, KeyError::WrongHalf { found: PUBLIC, wanted: PRIVATE });
        let wanted_public = read_public(RSA).unwrap_err();
        assert_eq!(wanted_public, KeyError::WrongHalf { found: PRIVATE, wanted: PUBLIC });
    }

    #[test]
    fn what_is_no_key_says_what_was_found() {
        let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----";
        assert_eq!(read_private(openssh).unwrap_err(), KeyError::OpenSsh);
        let certificate = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----";
        let error = read_private(certificate).unwrap_err().to_string();
        assert!(error.contains("CERTIFICATE"), "{error}");
        let truncated = &RSA[..RSA.len() / 2];
        assert!(matches!(read_private(truncated), Err(KeyError::NotAKey(_))));
        for text in ["", "K2JCJMDEHXQW5F", "-----BEGIN PRIVATE KEY-----"] {
            assert!(matches!(read_private(text), Err(KeyError::NotAKey(_))), "{text}");
        }
        let hollow = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        assert_eq!(read_private(hollow).unwrap_err(), KeyError::Unsupported);
    }

    #[test]
    fn debug_and_errors_show_nothing_of_the_private_half() {
        let shown = format!("{:?}", read_private(RSA).unwrap());
        assert_eq!(
            shown,
            "PrivateKey(RSA-2048 b138d679a17e547fea639483dcd5201dcfa93788287f07c513eee25b10152097)"
        );
    }
}
