//! The `Cookie` header.

/// Splits a `Cookie` header into names and values, in its order (RFC 6265 section 4.2.1). Whatever
/// is no pair is left out; nothing is decoded.
pub fn cookie_pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_everything_behind_the_first_equals_sign() {
        let pairs: Vec<_> = cookie_pairs("a=1|x=y==; b=; nothing;; c=\"2 3\" ;=d").collect();
        assert_eq!(pairs, [("a", "1|x=y=="), ("b", ""), ("c", "\"2 3\""), ("", "d")]);
    }
}
