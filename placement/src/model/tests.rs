//! What a pool is known to be like, in stories.

use weir_agent_ebpf::scale::bucket_of;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// So many reads in a second, all of which take so long.
fn hear(model: &mut PoolModel, micros: u64, count: u64, now: Duration) {
    hear_with(model, micros, count, Rung::Ebpf, now);
}

fn hear_with(model: &mut PoolModel, micros: u64, count: u64, rung: Rung, now: Duration) {
    let bucket = u16::try_from(bucket_of(micros * 1000)).unwrap();
    let buckets = if count > 0 {
        vec![(bucket, count)]
    } else {
        vec![]
    };
    let reads = Counts {
        buckets: &buckets,
        unbucketed: 0,
        sum_ns: micros * 1000 * count,
    };
    let report = Report {
        span: SECOND,
        age: Duration::ZERO,
        rung,
        reads,
        writes: Counts::default(),
        in_flight: 0,
        failed: 0,
    };
    model.hear(&report, now);
}

fn line(base: f32, slope: f32) -> Option<Calibration> {
    let line = Line { base, slope };
    Some(Calibration {
        reads: line,
        writes: line,
    })
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_is_known_of_a_pool_that_was_never_heard() {
    let model = PoolModel::new(line(100.0, 5.0), at(0));
    assert_eq!(model.figures(at(1)).trust, Trust::None);
}

/// Seen red with: `figures` not looking at the age.
#[test]
fn what_is_old_is_not_trusted() {
    let mut model = PoolModel::new(line(100.0, 5.0), at(0));
    hear(&mut model, 100, 1000, at(10));
    assert_eq!(model.figures(at(40)).trust, Trust::Full);
    assert_eq!(model.figures(at(41)).trust, Trust::None);
    hear(&mut model, 100, 1000, at(60));
    assert_eq!(model.figures(at(60)).trust, Trust::Full);
}

#[test]
fn the_lower_the_rung_the_less_it_is_trusted() {
    for (rung, trust) in [
        (Rung::Ebpf, Trust::Full),
        (Rung::Spdk, Trust::Full),
        (Rung::Dmstats, Trust::Coarse),
        (Rung::Diskstats, Trust::None),
    ] {
        let mut model = PoolModel::new(line(100.0, 5.0), at(0));
        hear_with(&mut model, 100, 1000, rung, at(1));
        assert_eq!(model.figures(at(1)).trust, trust, "{rung:?}");
    }
}

/// An idle pool must not be the best there is only because nothing is seen of it.
///
/// Seen red with: `before` always `None` in `Operation::line`.
#[test]
fn an_idle_pool_is_as_it_was_when_it_last_did_something() {
    let mut model = PoolModel::new(line(100.0, 5.0), at(0));
    for second in 0..1200 {
        hear(&mut model, 900, 2000, at(second));
    }
    let busy = model.figures(at(1200)).read;
    assert!((700.0..1000.0).contains(&busy.at(1.8)), "{busy:?}");
    for second in 1200..9000 {
        hear(&mut model, 100, 0, at(second));
    }
    let idle = model.figures(at(9000));
    assert!(idle.in_flight < 0.01, "{idle:?}");
    assert!(idle.read.at(1.8) > 600.0, "{idle:?}");
    // But canary reads tell in the end that it is well.
    for second in 9000..12_000u64 {
        hear(&mut model, 90, u64::from(second % 5 == 0), at(second));
    }
    let canary = model.figures(at(12_000)).read.at(0.0);
    assert!(canary < idle.read.at(0.0), "{canary} {idle:?}");
}

/// Seen red with: `let seen = None` in `Operation::line`.
#[test]
fn a_pool_that_becomes_slow_is_known_to_be_within_a_minute() {
    let mut model = PoolModel::new(line(100.0, 5.0), at(0));
    for second in 0..3600 {
        hear(&mut model, 100, 5000, at(second));
    }
    for second in 3600..3660 {
        hear(&mut model, 2000, 5000, at(second));
    }
    let slow = model.figures(at(3660));
    assert!(slow.with(0.0).0 > 1000.0, "{slow:?}");
}

/// Six points of ten seconds each decide: without them the last minutes would take half an hour to forget.
///
/// Seen red with: `forget_what_was_before` never called.
#[test]
fn a_pool_that_is_well_again_is_known_to_be_within_two_minutes() {
    let mut model = PoolModel::new(line(100.0, 5.0), at(0));
    for second in 0..7200 {
        let micros = if second < 3600 { 100 } else { 2000 };
        hear(&mut model, micros, 5000, at(second));
    }
    for second in 7200..7320 {
        hear(&mut model, 100, 5000, at(second));
    }
    let well = model.figures(at(7320));
    assert!(well.with(0.0).0 < 150.0, "{well:?}");
}

/// A pool whose tenants are calm just now is not one that has calm tenants.
///
/// Seen red with: `Day::forgive` forgetting every hour.
#[test]
fn bursts_are_remembered_when_they_are_over() {
    let mut bursty = PoolModel::new(line(100.0, 5.0), at(0));
    let mut calm = bursty.clone();
    for second in 0..7200u64 {
        let is_burst = (3000..3600).contains(&second);
        let (micros, count) = if is_burst {
            (5000, 50_000)
        } else {
            (100, 5000)
        };
        hear(&mut bursty, micros, count, at(second));
        hear(&mut calm, 100, 5000, at(second));
    }
    let p99 = |model: &PoolModel| model.figures(at(7200)).with(0.0).0;
    assert!(
        p99(&bursty) > 1.5 * p99(&calm),
        "{} {}",
        p99(&bursty),
        p99(&calm)
    );
}

/// I/Os that never end have no latency: what is in flight tells of them.
///
/// Seen red with: `in_flight` always by Little's law.
#[test]
fn a_pool_in_which_nothing_ends_is_not_idle() {
    let mut model = PoolModel::new(line(100.0, 5.0), at(0));
    for second in 0..60 {
        model.hear(
            &Report {
                span: SECOND,
                age: Duration::ZERO,
                rung: Rung::Ebpf,
                reads: Counts::default(),
                writes: Counts::default(),
                in_flight: 32,
                failed: 0,
            },
            at(second),
        );
    }
    assert!(model.figures(at(60)).in_flight > 30.0);
}

#[test]
fn a_pool_whose_ios_fail_says_so() {
    let mut model = PoolModel::new(None, at(0));
    hear(&mut model, 100, 900, at(1));
    assert_eq!(model.figures(at(1)).failing, 0);
    let failed = Report {
        span: SECOND,
        age: Duration::ZERO,
        rung: Rung::Ebpf,
        reads: Counts::default(),
        writes: Counts::default(),
        in_flight: 0,
        failed: 100,
    };
    model.hear(&failed, at(2));
    let failing = model.figures(at(2)).failing;
    assert!((95..=105).contains(&failing), "{failing}");
}

#[test]
fn a_model_takes_little_memory() {
    let histograms = 4 * weir_agent_ebpf::scale::BUCKETS * size_of::<f32>();
    let bytes = size_of::<PoolModel>() + histograms;
    assert!(bytes < 8 << 10, "{bytes}");
}
