//! What holds for every set of rules, every person and every byte.

/// Cookie paths of a grant: disjoint, and neither more nor less than the rules open.
mod cover;
/// One browser over time: what its jar holds after any history.
mod history;
/// Texts and bytes of strangers: no panic, no hang, and what is written is read back.
mod parsers;
/// What is signed verifies, and nothing else does.
mod signing;

use proptest::test_runner::{Config, RngSeed};

/// The same cases at every run: a gate that fails by chance teaches people to run it again.
/// `PROPTEST_RNG_SEED` and `PROPTEST_CASES` look further.
fn cases(count: u32) -> Config {
    let given = Config::default();
    let fixed = given.rng_seed == RngSeed::Random;
    Config {
        cases: if given.cases == 256 { count } else { given.cases },
        rng_seed: if fixed { RngSeed::Fixed(0x6564_6765) } else { given.rng_seed },
        failure_persistence: None,
        ..given
    }
}
