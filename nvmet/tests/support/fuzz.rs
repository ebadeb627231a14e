//! Random input for as long as `WEIR_FUZZ_SECONDS` says (1 if it says nothing), from a seed that is
//! printed and can be given as `WEIR_FUZZ_SEED`.

use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

pub(crate) fn fuzz<S: Strategy>(name: &str, strategy: &S, test: impl Fn(S::Value)) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seconds = number("WEIR_FUZZ_SECONDS").unwrap_or(1);
    let now = UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs());
    let seed = number("WEIR_FUZZ_SEED").unwrap_or(now);
    eprintln!("{name}: seed {seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: 50,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut seeds = TestRunner::new_with_rng(config.clone(), rng);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut cases = 0_u64;
    while Instant::now() < deadline {
        // A runner stops for good after its cases: each batch has one of its own.
        let mut runner = TestRunner::new_with_rng(config.clone(), seeds.new_rng());
        let result = runner.run(strategy, |value| {
            test(value);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
        cases += 50;
    }
    eprintln!("{name}: {cases} cases");
}
