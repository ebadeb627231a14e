//! One case for each thing that latency decides.

use serde_json::json;

use super::*;
use crate::model::Line;

/// Figures of a pool that is known: what is predicted with nothing more in flight, and what is in flight.
fn live(micros: f32, in_flight: f32) -> Figures {
    Figures {
        trust: Trust::Full,
        in_flight,
        read: Line {
            base: micros,
            slope: 0.0,
        },
        ..Figures::default()
    }
}

fn with(name: &str, live: Figures) -> PoolView {
    PoolView {
        live,
        ..pool(name, json!({}))
    }
}

fn decided(pools: &[PoolView], volume: &VolumeView) -> Placement {
    place(pools, &Climate::of(pools), volume, &Holds::default(), 1)
}

fn chosen(pools: &[PoolView]) -> String {
    let placement = decided(pools, &volume(json!({})));
    placement.pool().unwrap().to_string()
}

fn wanting(objective: &str) -> VolumeView {
    volume(json!({"latency": {"readP99": objective}}))
}

/// Seen red with: `COLD + eighths(self.cost(…))`.
#[test]
fn the_lowest_predicted_latency_of_the_cold_is_best() {
    let pools = [
        with("slow", live(900.0, 1.0)),
        with("quick", live(300.0, 1.0)),
        with("middle", live(500.0, 1.0)),
    ];
    assert_eq!(chosen(&pools), "quick");
}

fn with_volumes(name: &str, micros: f32, volumes: u32) -> PoolView {
    let mut pool = with(name, live(micros, 1.0));
    pool.booked.volumes = volumes;
    pool
}

/// Two and a half times as slow, and a quarter of the volumes.
///
/// Seen red with: the volumes left out of `cost`.
#[test]
fn a_slower_pool_takes_its_share() {
    let pools = [
        with_volumes("quick", 200.0, 12),
        with_volumes("slow", 500.0, 3),
    ];
    assert_eq!(chosen(&pools), "slow");
    let pools = [
        with_volumes("quick", 200.0, 12),
        with_volumes("slow", 500.0, 6),
    ];
    assert_eq!(chosen(&pools), "quick");
}

/// Seen red with: `WITH_OBJECTIVE` 1.
#[test]
fn quick_pools_are_kept_for_volumes_with_an_objective() {
    let pools = [
        with_volumes("quick", 200.0, 12),
        with_volumes("slow", 500.0, 3),
    ];
    let placement = decided(&pools, &wanting("5ms"));
    assert_eq!(placement.pool(), Some(&name("quick")));
}

/// Seen red with: `held` left out of `volumes` in `contender`.
#[test]
fn volumes_that_were_decided_a_moment_ago_count() {
    let pools = [with_volumes("a", 300.0, 3), with_volumes("b", 300.0, 4)];
    let asked = volume(json!({}));
    let mut holds = Holds::default();
    let decided = |holds: &Holds| {
        let placement = place(&pools, &Climate::of(&pools), &asked, holds, 1);
        placement.pool().map(ToString::to_string)
    };
    assert_eq!(decided(&holds).as_deref(), Some("a"));
    for id in ["1", "2"] {
        hold(&mut holds, id, &pools[0], &asked);
    }
    assert_eq!(decided(&holds).as_deref(), Some("b"));
}

/// Seen red with: `is_hot` always false.
#[test]
fn a_hot_pool_comes_after_the_cold_ones_however_quick_it_is() {
    let mut pools: Vec<PoolView> = (0..7)
        .map(|index| with(&format!("cold-{index}"), live(500.0, 2.0)))
        .collect();
    pools.push(with("hot", live(100.0, 50.0)));
    let placement = decided(&pools, &volume(json!({})));
    assert!(placement.pool().unwrap().as_str().starts_with("cold"));
    let hot = placement.candidates.last().unwrap();
    assert!(hot.pool_name == name("hot") && hot.is_hot);
    assert_eq!(hot.in_flight, Some(50));
}

/// Seen red with: `HOT - eighths(predicted)` in place of its load.
#[test]
fn of_hot_pools_the_one_with_the_least_in_flight_is_best() {
    let pools = [
        with("most", live(100.0, 60.0)),
        with("least", live(900.0, 20.0)),
    ];
    let climate = Climate {
        hot_above: 10.0,
        ..Climate::of(&pools)
    };
    let placement = place(&pools, &climate, &volume(json!({})), &Holds::default(), 1);
    assert_eq!(placement.pool(), Some(&name("least")));
}

#[test]
fn a_pool_of_which_nothing_is_known_is_between_the_cold_and_the_hot() {
    let pools = [
        with("cold", live(5000.0, 1.0)),
        with("unknown", Figures::default()),
        with("hot", live(100.0, 60.0)),
    ];
    let climate = Climate {
        hot_above: 10.0,
        ..Climate::of(&pools)
    };
    let placement = place(&pools, &climate, &volume(json!({})), &Holds::default(), 1);
    let order: Vec<&str> = placement
        .candidates
        .iter()
        .map(|candidate| candidate.pool_name.as_str())
        .collect();
    assert_eq!(order, ["cold", "unknown", "hot"]);
    assert_eq!(placement.candidates[1].predicted_p99, None);
}

/// Seen red with: `class: 0` in place of `COLD - eighths(…)`.
#[test]
fn latencies_that_can_not_be_told_apart_leave_it_to_space() {
    let gib = 1u64 << 30;
    let of = |name: &str, micros: f32, free: u64| PoolView {
        live: live(micros, 1.0),
        ..pool(name, json!({"status": {"freeBytes": free}}))
    };
    // Both are in the eighth of a power of two that ends at 322 µs.
    let pools = [of("full", 300.0, 20 * gib), of("empty", 310.0, 80 * gib)];
    assert_eq!(chosen(&pools), "empty");
    let pools = [of("full", 300.0, 20 * gib), of("empty", 400.0, 80 * gib)];
    assert_eq!(chosen(&pools), "full");
}

/// Seen red with: `keeps_objective` always true.
#[test]
fn no_pool_is_taken_that_could_not_keep_the_objective() {
    let pools = [
        with("slow", live(1500.0, 1.0)),
        with("slower", live(2500.0, 1.0)),
    ];
    let waits = decided(&pools, &wanting("1ms"));
    assert_eq!((waits.winner, waits.tally.of(Filter::Latency)), (None, 2));
    assert_eq!(
        waits.explain(),
        "none of 2 pools fits: 2 that could not keep the latency objective (latency: slow, slower)"
    );
    let fits = decided(&pools, &wanting("2ms"));
    assert_eq!(fits.pool(), Some(&name("slow")));
    assert_eq!(fits.tally.of(Filter::Latency), 1);
}

/// What it would be with the volume counts, not what it is.
///
/// Seen red with: `pool.live.with(0.0)` in `keeps_objective`.
#[test]
fn an_objective_is_to_be_kept_with_the_volume_in_it() {
    let mut pools = [with("p", live(900.0, 1.0))];
    pools[0].live.read.slope = 40.0;
    let climate = Climate {
        of_one: 1.0,
        ..Climate::of(&pools)
    };
    let place_at =
        |climate: &Climate| place(&pools, climate, &wanting("1ms"), &Holds::default(), 1).winner;
    assert_eq!(place_at(&climate), Some(0));
    let heavier = Climate {
        of_one: 2.0,
        ..climate
    };
    assert_eq!(place_at(&heavier), None);
}

/// Seen red with: `load` leaving out the phantom.
#[test]
fn what_is_on_its_way_counts_as_if_it_were_there() {
    let mut pools = [with("p", live(900.0, 1.0))];
    pools[0].live.read.slope = 40.0;
    assert!(decided(&pools, &wanting("1ms")).winner.is_some());
    pools[0].live.phantom = 3.0;
    assert!(decided(&pools, &wanting("1ms")).winner.is_none());
}

/// Seen red with: `refuse(pool.live.trust == Trust::None, …)` left out.
#[test]
fn an_objective_is_entrusted_to_no_pool_that_is_not_heard_while_others_are() {
    let pools = [
        with("heard", live(500.0, 1.0)),
        with("silent", Figures::default()),
    ];
    let placement = decided(&pools, &wanting("1ms"));
    assert_eq!(placement.pool(), Some(&name("heard")));
    assert_eq!(placement.tally.of(Filter::Telemetry), 1);
    let none = decided(&pools, &wanting("100us"));
    assert_eq!(none.winner, None);
}

#[test]
fn where_nobody_is_heard_space_decides_and_the_record_says_so() {
    let gib = 1u64 << 30;
    let pools = [
        pool("full", json!({"status": {"freeBytes": 20 * gib}})),
        pool("empty", json!({})),
    ];
    let placement = decided(&pools, &wanting("100us"));
    assert_eq!(placement.pool(), Some(&name("empty")));
    assert_eq!(placement.basis, Basis::Space);
    let says = placement.says().unwrap();
    assert!(
        says.ends_with("nothing is known of their latency just now"),
        "{says}"
    );
    assert!(
        placement
            .candidates
            .iter()
            .all(|one| one.predicted_p99.is_none())
    );
}

/// Seen red with: `Trust::Coarse => 1.0`.
#[test]
fn what_is_measured_coarsely_must_have_some_to_spare() {
    let coarse = |micros: f32| {
        let live = Figures {
            trust: Trust::Coarse,
            ..live(micros, 1.0)
        };
        decided(&[with("p", live)], &wanting("1ms")).winner
    };
    assert_eq!((coarse(790.0), coarse(810.0)), (Some(0), None));
}

/// Whoever fails quickly is quick.
///
/// Seen red with: `Filter::Failing`'s line left out of `refusal`.
#[test]
fn a_pool_whose_ios_fail_gets_nothing() {
    let failing = Figures {
        failing: 11,
        ..live(50.0, 0.0)
    };
    let pools = [with("fails", failing), with("works", live(5000.0, 1.0))];
    let placement = decided(&pools, &volume(json!({})));
    assert_eq!(placement.pool(), Some(&name("works")));
    assert_eq!(placement.tally.of(Filter::Failing), 1);
}

/// Many at once, before anything of it shows, on pools that are all alike.
///
/// Seen red with: the phantom not added to `live`.
#[test]
fn a_herd_spreads() {
    let mut pools: Vec<PoolView> = (0..50)
        .map(|index| with(&format!("p-{index:02}"), live(200.0, 0.1)))
        .collect();
    let climate = Climate {
        of_one: 1.0,
        ..Climate::of(&pools)
    };
    let mut counts = [0u32; 50];
    for seed in 0..500 {
        let placement = place(
            &pools,
            &climate,
            &volume(json!({})),
            &Holds::default(),
            seed,
        );
        let winner = placement.winner.unwrap();
        counts[winner] += 1;
        pools[winner].live.phantom += climate.of_one;
    }
    let most = counts.iter().max().unwrap();
    assert!(*most <= 13, "{counts:?}");
}

#[test]
fn a_record_has_the_figures_that_decided() {
    let pools = [
        with("quick", live(300.0, 1.6)),
        with("slow", live(900.0, 4.0)),
    ];
    let placement = decided(&pools, &volume(json!({})));
    let record = serde_json::to_value(placement.record(None)).unwrap();
    assert_eq!(
        record,
        json!({
            "poolName": "quick",
            "seed": 1,
            "candidates": [
                {"poolName": "quick", "predictedP99": "300us", "inFlight": 2, "volumes": 0, "freeBytes": 100u64 << 30, "isHot": false},
                {"poolName": "slow", "predictedP99": "900us", "inFlight": 4, "volumes": 0, "freeBytes": 100u64 << 30, "isHot": false},
            ],
        })
    );
    assert_eq!(
        placement.says().unwrap(),
        "pool `quick` of 2 that were drawn from 2 that fit: 2 I/Os in flight, a 99th percentile of 300us predicted with \
         it; 0 volumes, 100 GiB free"
    );
}
