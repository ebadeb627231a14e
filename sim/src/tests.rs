//! What must hold for figures to mean anything.

use std::time::Duration;

use crate::scenario::{ALL, Arrivals, Scenario, Telemetry, by_name};
use crate::strategy::{Hears, Name, run};
use crate::world::World;
use crate::{pool, tenant};

const HOUR: Duration = Duration::from_secs(3600);

/// The default, small: twelve pools and two hours.
fn small() -> Scenario {
    Scenario {
        pools: 12,
        length: 2 * HOUR,
        ..by_name("default").unwrap().clone()
    }
}

fn kept(scenario: Scenario) -> &'static Scenario {
    Box::leak(Box::new(scenario))
}

/// Seen red with: `Name::PowerOfTwo`'s stream begun with `fastrand::Rng::new()`.
#[test]
fn a_seed_gives_the_same_every_time() {
    let scenario = kept(small());
    for name in Name::ALL {
        let (one, other) = (run(scenario, name, 7), run(scenario, name, 7));
        assert_eq!(one.p99_ms, other.p99_ms, "{name:?}");
        assert_eq!(one.bound, other.bound, "{name:?}");
        assert_ne!(one.p99_ms, run(scenario, name, 8).p99_ms, "{name:?}");
    }
}

/// What hears more meets the same world.
#[test]
fn every_strategy_meets_the_same_tenants_and_pools() {
    let scenario = kept(small());
    let deaf = World::new(scenario, 3, Hears::Nothing);
    let told = World::new(scenario, 3, Hears::Reports);
    let tenants = |world: &World| -> Vec<_> {
        let all = world.tenants.iter();
        all.map(|one| (one.created, one.size, one.calm, one.objective))
            .collect()
    };
    assert_eq!(tenants(&deaf), tenants(&told));
    let disks = |world: &World| world.pools.iter().map(|pool| pool.disk).collect::<Vec<_>>();
    assert_eq!(disks(&deaf), disks(&told));
}

#[test]
fn the_default_is_as_it_was_fixed() {
    let scenario = by_name("default").unwrap();
    let pools = pool::all(scenario, 1);
    let limping = pools.iter().filter(|pool| pool.limps.is_some()).count();
    let sata = pools
        .iter()
        .filter(|pool| pool.limps.is_none() && pool.disk.channels == 8);
    assert_eq!((pools.len(), sata.count(), limping), (50, 15, 5));
    assert_eq!(scenario.length, 24 * HOUR);
    assert_eq!(scenario.telemetry.every, Duration::from_secs(1));
    let capacity = pools.iter().map(|pool| pool.disk.capacity).sum();
    let (mut filled, mut bursty, mut wanting, mut count) = (0.0, 0.0, 0.0, 0.0);
    for seed in 0..20 {
        let tenants = tenant::all(scenario, seed, capacity);
        let bytes: u64 = tenants.iter().map(|tenant| tenant.size).sum();
        filled += bytes as f64 / capacity as f64 / 20.0;
        count += tenants.len() as f64;
        bursty += tenants
            .iter()
            .filter(|tenant| tenant.burst.is_some())
            .count() as f64;
        wanting += tenants
            .iter()
            .filter(|tenant| tenant.objective.is_some())
            .count() as f64;
    }
    assert!((0.65..=0.71).contains(&filled), "{filled}");
    assert!(
        (0.09..0.11).contains(&(bursty / count)),
        "{}",
        bursty / count
    );
    assert!(
        (0.48..0.52).contains(&(wanting / count)),
        "{}",
        wanting / count
    );
}

/// Seen red with: `limp` not toggling.
#[test]
fn what_limps_is_slow() {
    let disk = by_name("default").unwrap().kinds[2].1;
    let scenario = |times: f64| {
        let mut kind = disk;
        kind.limps = kind
            .limps
            .map(|limp| crate::scenario::Limp { times, ..limp });
        kept(Scenario {
            kinds: Box::leak(Box::new([(1.0, kind)])),
            ..small()
        })
    };
    let p99 = |times: f64| run(scenario(times), Name::Random, 1).mean_p99_ms();
    assert!(p99(5.0) > 2.0 * p99(1.0), "{} {}", p99(5.0), p99(1.0));
}

/// Without any report space decides, and no volume waits.
#[test]
fn in_the_dark_everything_is_placed_by_space() {
    let scenario = kept(Scenario {
        telemetry: Telemetry {
            dark: Some((0.0, 1.0)),
            ..small().telemetry
        },
        ..small()
    });
    let ours = run(scenario, Name::Ours, 2);
    assert_eq!((ours.unplaced, ours.windows_waited), (0, 0));
    let most_free = run(scenario, Name::MostFree, 2);
    assert!(ours.max_over_mean() <= most_free.max_over_mean() * 1.1);
}

/// Seen red with: `hear` of the strategy doing nothing, which is to fall back to space.
#[test]
fn with_reports_it_is_better_than_by_space_alone() {
    let scenario = kept(small());
    let mean = |name: Name| {
        let runs = (0..4).map(|seed| run(scenario, name, seed).mean_p99_ms());
        runs.sum::<f64>() / 4.0
    };
    let (ours, most_free) = (mean(Name::Ours), mean(Name::MostFree));
    assert!(ours < 0.8 * most_free, "{ours} {most_free}");
}

#[test]
fn a_burst_is_at_one_moment() {
    let Some(Arrivals::Burst { at, count }) = by_name("burst").map(|one| one.arrivals) else {
        panic!("no burst")
    };
    let scenario = by_name("burst").unwrap();
    let tenants = tenant::all(scenario, 1, 50 << 41);
    assert_eq!(tenants.len(), usize::try_from(count).unwrap());
    assert!(tenants.iter().all(|tenant| tenant.created == at));
}

#[test]
fn scenarios_have_names_of_their_own() {
    let mut names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}

/// A digest of what a run came to, to four digits: another machine's logarithms may differ in the last.
fn digest(runs: impl Iterator<Item = crate::Measured>) -> u64 {
    use std::hash::Hasher as _;
    let mut digest = Fnv(0xcbf2_9ce4_8422_2325);
    for run in runs {
        for p99 in &run.p99_ms {
            digest.write(format!("{p99:.3e} ").as_bytes());
        }
        let counts = (run.windows_over, run.windows_waited, run.windows, run.bound);
        digest.write(format!("{counts:?}").as_bytes());
    }
    digest.finish()
}

/// The standard library's hashers may change.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whoever makes the simulator faster changes nothing of what comes out. Ours changes with the policy, and only then; the others
/// never.
///
/// Seen red with: the longest wait in `queue::flow` a tenth longer; `losses` drawn from before a report is.
#[test]
fn a_small_day_comes_to_what_it_always_came_to() {
    let churn = Scenario {
        pools: 12,
        length: 2 * HOUR,
        ..by_name("churn").unwrap().clone()
    };
    let noinfo = Scenario {
        pools: 12,
        length: HOUR,
        ..by_name("noinfo").unwrap().clone()
    };
    let scenarios = [kept(small()), kept(churn), kept(noinfo)];
    let of = |name: Name| digest(scenarios.iter().map(|scenario| run(scenario, name, 11)));
    let all = Name::ALL.map(|name| (name, format!("{:016x}", of(name))));
    let expected = [
        (Name::Ours, "479ca173818921f9"),
        (Name::Oracle, "e701146a8520ecec"),
        (Name::Random, "522619febf8f013d"),
        (Name::PowerOfTwo, "223771aa9707c928"),
        (Name::MostFree, "d5a51c671ddf9f34"),
        (Name::LiteIo, "3c57ad9c92d05b17"),
        (Name::CapacityWeighted, "5bb355e7c2dc1c74"),
    ];
    assert_eq!(
        all,
        expected.map(|(name, digest)| (name, digest.to_owned()))
    );
}
