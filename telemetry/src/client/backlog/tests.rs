//! What an agent keeps, sends and forgets.

use std::collections::BTreeSet;

use super::*;
use crate::key::Subject;
use crate::op::Op;

fn key(pool: usize) -> Key {
    Key {
        subject: Subject::Pool(format!("p{pool:04}").parse().unwrap()),
        op: Op::Read,
    }
}

fn reading(at: Instant, added: Vec<(Key, Delta)>) -> Reading {
    Reading {
        since: at,
        at: at + Duration::from_secs(1),
        rung: Rung::Ebpf,
        added,
        in_flight: Vec::new(),
    }
}

fn one(at: Instant, pool: usize, count: u64) -> Reading {
    reading(at, vec![(key(pool), Delta::of_sum(count, count))])
}

fn counts(report: &wire::Report) -> Vec<u64> {
    report
        .series
        .iter()
        .map(|series| series.unbucketed)
        .collect()
}

const LONGEST: usize = 64 * 1024;

#[test]
fn nothing_is_told_before_anything_is_read() {
    let mut backlog = Backlog::new(Run::draw(), 10);
    assert!(backlog.take(LONGEST, Instant::now()).is_none());
}

/// Seen red with: `QUIET` of an hour; `self.told = None` left out of `resume`.
#[test]
fn that_nothing_is_new_is_told_now_and_then_and_to_each_leader() {
    let (mut backlog, begin) = (Backlog::new(Run::draw(), 10), Instant::now());
    let mut told = |second: u64, in_flight: u64| {
        let since = begin + Duration::from_secs(second);
        let now = InFlight {
            pool: "p".parse().unwrap(),
            op: Op::Read,
            now: in_flight,
        };
        if second == 12 {
            backlog.resume(Sequence(4)).unwrap();
        }
        backlog.add(Reading {
            in_flight: vec![now],
            ..reading(since, vec![(key(1), Delta::default())])
        });
        let report = backlog.take(LONGEST, since + Duration::from_secs(3))?;
        assert_eq!((report.age_ms, report.series.len()), (2_000, 0));
        backlog.counted(Sequence(report.sequence)).unwrap();
        Some(second)
    };
    // What is in flight is news by itself.
    let in_flight = [0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3];
    let told: Vec<_> = (0..)
        .zip(in_flight)
        .filter_map(|(at, now)| told(at, now))
        .collect();
    assert_eq!(told, [0, 4, 6, 10, 12]);
}

#[test]
fn one_report_is_on_its_way_and_the_rest_adds_up() {
    let (mut backlog, now) = (Backlog::new(Run::draw(), 10), Instant::now());
    backlog.add(one(now, 1, 1));
    assert_eq!(counts(&backlog.take(LONGEST, now).unwrap()), [1]);
    for count in [10, 100] {
        backlog.add(one(now, 1, count));
        assert!(backlog.take(LONGEST, now).is_none());
    }
    assert_eq!(backlog.held(), 1);
    backlog.counted(Sequence(1)).unwrap();
    let report = backlog.take(LONGEST, now).unwrap();
    assert_eq!((report.sequence, counts(&report)), (2, vec![110]));
    backlog.counted(Sequence(2)).unwrap();
    assert_eq!(backlog.held(), 0);
}

#[test]
fn what_was_not_counted_in_goes_out_again_under_a_new_number() {
    let (mut backlog, now) = (Backlog::new(Run::draw(), 10), Instant::now());
    backlog.add(one(now, 1, 1));
    backlog.take(LONGEST, now).unwrap();
    backlog.add(one(now + Duration::from_secs(1), 1, 10));
    backlog.resume(Sequence(0)).unwrap();
    let report = backlog.take(LONGEST, now).unwrap();
    assert_eq!((report.sequence, counts(&report)), (2, vec![11]));
    // Over both readings.
    assert_eq!(report.series[0].span_ms, 2_000);
    backlog.resume(Sequence(2)).unwrap();
    assert!(!backlog.is_waiting());
    assert_eq!(backlog.held(), 0);
}

#[test]
fn a_leader_that_claims_too_much_is_not_believed() {
    let (mut backlog, now) = (Backlog::new(Run::draw(), 10), Instant::now());
    backlog.add(one(now, 1, 1));
    backlog.take(LONGEST, now).unwrap();
    for claim in [Backlog::counted, Backlog::resume] {
        assert!(claim(&mut backlog, Sequence(2)).is_err());
        assert_eq!(backlog.held(), 1);
    }
    // An old acknowledgement that comes again is nothing new.
    backlog.counted(Sequence(0)).unwrap();
    assert_eq!(backlog.held(), 1);
}

/// Seen red with: `held` not counted up in `put`.
#[test]
fn there_is_one_delta_for_each_series_and_for_so_many_series() {
    let (mut backlog, now) = (Backlog::new(Run::draw(), 3), Instant::now());
    for round in 0..100 {
        for pool in 0..5 {
            backlog.add(one(now, pool, 1));
        }
        if round == 50 {
            backlog.take(LONGEST, now).unwrap();
        }
        assert!(backlog.held() <= 3 && backlog.waiting.len() <= 3);
    }
    assert_eq!((backlog.held(), backlog.left_out()), (3, 200));
    backlog.resume(Sequence(0)).unwrap();
    assert_eq!((backlog.held(), backlog.waiting.len()), (3, 3));
    assert_eq!(counts(&backlog.take(LONGEST, now).unwrap()), [100; 3]);
}

/// Seen red with: `self.turn = None` at the beginning of `take`.
#[test]
fn reports_are_as_long_as_allowed_and_each_series_has_its_turn() {
    let (mut backlog, now) = (Backlog::new(Run::draw(), 10_000), Instant::now());
    let mut seen = BTreeSet::new();
    let (pools, longest) = (1_000, 8 * 1024);
    for sequence in 1..=20 {
        // All of them grow again between two reports.
        let buckets = [7; 20];
        let added = (0..pools).map(|pool| (key(pool), Delta::of_buckets(&buckets, 0, 1)));
        backlog.add(reading(now, added.collect()));
        let report = backlog.take(longest, now).unwrap();
        let message = wire::FromAgent {
            what: Some(wire::from_agent::What::Report(report.clone())),
        };
        assert!(
            message.encoded_len() <= longest,
            "{}",
            message.encoded_len()
        );
        assert!(report.series.len() > 50);
        let names = report
            .series
            .into_iter()
            .filter_map(|series| match series.of {
                Some(wire::series::Of::Pool(pool)) => Some(pool.name),
                _ => None,
            });
        seen.extend(names);
        backlog.counted(Sequence(sequence)).unwrap();
    }
    assert_eq!(seen.len(), pools);
}

#[test]
fn a_series_goes_even_if_no_message_is_long_enough() {
    let (mut backlog, now) = (Backlog::new(Run::draw(), 10), Instant::now());
    backlog.add(one(now, 1, 1));
    assert_eq!(counts(&backlog.take(0, now).unwrap()), [1]);
}
