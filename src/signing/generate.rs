//! New private keys.

use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use zeroize::Zeroizing;

use super::pem::KeyError;

/// Makes an RSA-2048 private key, as PKCS#8 PEM.
///
/// # Errors
/// [`KeyError::Backend`] when the cryptographic library fails.
pub fn generate_rsa_pem() -> Result<Zeroizing<String>, KeyError> {
    let pem = Rsa::generate(2048)
        .and_then(PKey::from_rsa)
        .and_then(|key| key.private_key_to_pem_pkcs8())
        .map_err(|_| KeyError::Backend)?;
    String::from_utf8(pem).map(Zeroizing::new).map_err(|_| KeyError::Backend)
}
