//! New private keys.

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use zeroize::Zeroizing;

use super::pem::KeyError;

/// The kinds of key that CloudFront trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of 2048 bits.
    #[default]
    Rsa,
    /// ECDSA on P-256: shorter cookies, and signatures at a fraction of the work.
    P256,
}

/// Makes a private key, as PKCS#8 PEM.
///
/// # Errors
/// [`KeyError::Backend`] when the cryptographic library fails.
pub fn generate_pem(kind: KeyKind) -> Result<Zeroizing<String>, KeyError> {
    let pem = generate(kind).and_then(|key| key.private_key_to_pem_pkcs8());
    let pem = pem.map_err(|_| KeyError::Backend)?;
    String::from_utf8(pem).map(Zeroizing::new).map_err(|_| KeyError::Backend)
}

fn generate(kind: KeyKind) -> Result<PKey<Private>, ErrorStack> {
    match kind {
        KeyKind::Rsa => Rsa::generate(2048).and_then(PKey::from_rsa),
        KeyKind::P256 => EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
            .and_then(|group| EcKey::generate(&group))
            .and_then(PKey::from_ec_key),
    }
}

#[cfg(test)]
mod tests {
    use super::super::PrivateKey;
    use super::*;

    #[test]
    fn every_kind_that_is_made_is_read_back() {
        for (kind, name) in [(KeyKind::Rsa, "RSA-2048"), (KeyKind::P256, "P-256")] {
            let key = PrivateKey::from_pem(&generate_pem(kind).unwrap()).unwrap();
            assert_eq!(key.public().kind(), name);
            let other = PrivateKey::from_pem(&generate_pem(kind).unwrap()).unwrap();
            assert_ne!(key.fingerprint(), other.fingerprint());
        }
    }
}
