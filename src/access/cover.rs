//! The smallest set of disjoint path prefixes that opens what several rules open together.

use super::grant::Opened;

/// Folds every prefix into the widest one that contains it.
///
/// The widest rule opens all of it anyway, so nothing is opened that no rule opens;
/// [`super::conflicts()`] has refused rules whose narrower terms would be lost.
pub(super) fn cover(mut parts: Vec<Opened>) -> Vec<Opened> {
    // In byte order a prefix stands right before everything that it contains.
    parts.sort_by(|a, b| (&a.base, &a.prefix).cmp(&(&b.base, &b.prefix)));
    let mut disjoint: Vec<Opened> = Vec::new();
    for part in parts {
        match disjoint.last_mut() {
            Some(widest) if widest.base == part.base && widest.prefix.contains(&part.prefix) => {
                fold(widest, part);
            }
            _ => disjoint.push(part),
        }
    }
    disjoint
}

fn fold(widest: &mut Opened, part: Opened) {
    let share = widest.share && part.share;
    let mut rules = std::mem::take(&mut widest.rules);
    for rule in &part.rules {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    if widest.prefix == part.prefix && is_more_generous(&part, widest) {
        *widest = part;
    }
    widest.share = share;
    widest.rules = rules;
}

fn is_more_generous(part: &Opened, than: &Opened) -> bool {
    (part.source_ip.is_none(), part.lifetime) > (than.source_ip.is_none(), than.lifetime)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opened;
    use super::*;

    fn prefixes(parts: &[Opened]) -> Vec<&str> {
        parts.iter().map(|part| part.prefix.as_str()).collect()
    }

    #[test]
    fn nested_prefixes_fold_into_the_widest() {
        let parts = ["/a/b/", "/ab/", "/a/", "/a/b/c/", "/a/"].map(|text| opened(text, 1000));
        let disjoint = cover(parts.to_vec());
        assert_eq!(prefixes(&disjoint), ["/a/", "/ab/"]);
    }

    #[test]
    fn folding_keeps_the_names_of_all_rules() {
        let named =
            |prefix, rule: &str| Opened { rules: vec![rule.to_owned()], ..opened(prefix, 9) };
        let disjoint = cover(vec![named("/a/b/", "inner"), named("/a/", "outer")]);
        assert_eq!(disjoint[0].rules, ["outer", "inner"]);
    }

    #[test]
    fn equal_prefixes_keep_the_more_generous_terms() {
        let short = Opened { lifetime: super::super::Lifetime::SHORTEST, ..opened("/a/", 30) };
        let long = opened("/a/", 3600);
        for parts in [vec![short.clone(), long.clone()], vec![long.clone(), short.clone()]] {
            assert_eq!(cover(parts)[0].lifetime, long.lifetime);
        }
    }
}
