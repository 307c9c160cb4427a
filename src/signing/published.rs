//! Keys that everybody has.

/// Fingerprints of the pairs in `keys-example/`, which a service must never sign with.
pub(super) const FINGERPRINTS: [&str; 2] = [
    "b138d679a17e547fea639483dcd5201dcfa93788287f07c513eee25b10152097",
    "ebbdaf59752ccf56da03c6f000bb1569e4e2352a9fc8094c9240557c171cce12",
];

#[cfg(test)]
mod tests {
    use super::super::PublicKey;

    #[test]
    fn every_example_key_is_known_by_its_fingerprint() {
        for pem in [
            include_str!("../../keys-example/rsa-2048.public.pem"),
            include_str!("../../keys-example/p-256.public.pem"),
        ] {
            assert!(PublicKey::from_pem(pem).unwrap().is_published());
        }
    }
}
