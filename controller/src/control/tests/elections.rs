//! Who takes the lease when.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

use super::super::Settings;
use super::super::election::{Candidate, Move, claim, give_back, goes_on};

const LEASE: Duration = Duration::from_secs(15);

fn now() -> MicroTime {
    MicroTime(Timestamp::UNIX_EPOCH)
}

fn held(by: &str, version: &str) -> Lease {
    let mut lease = claim(None, by, LEASE, now());
    lease.metadata.resource_version = Some(version.to_owned());
    lease
}

/// Seen red with: `Candidate::look` counting on from the version that it saw first.
#[test]
fn a_lease_is_taken_when_it_was_seen_unchanged_for_its_length() {
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    let mut candidate = Candidate::new("b".to_owned());
    assert_eq!(candidate.look(None, at(0)), Move::Claim);
    assert_eq!(candidate.look(Some(&held("a", "1")), at(0)), Move::Wait);
    assert_eq!(candidate.look(Some(&held("a", "1")), at(14)), Move::Wait);
    // Renewed in the last moment: it counts from when that was seen.
    assert_eq!(candidate.look(Some(&held("a", "2")), at(15)), Move::Wait);
    assert_eq!(candidate.look(Some(&held("a", "2")), at(29)), Move::Wait);
    assert_eq!(candidate.look(Some(&held("a", "2")), at(30)), Move::Claim);
    assert_eq!(candidate.look(Some(&held("b", "3")), at(30)), Move::Claim);
    let given = give_back(&held("a", "4"), now());
    assert_eq!(candidate.look(Some(&given), at(30)), Move::Claim);
}

#[test]
fn a_change_of_hands_is_counted_and_a_renewal_is_not() {
    let first = claim(None, "a", LEASE, now());
    let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions;
    assert_eq!(transitions(&first), Some(0));
    let renewed = claim(Some(&first), "a", LEASE, now());
    assert_eq!(transitions(&renewed), Some(0));
    let taken = claim(Some(&renewed), "b", LEASE, now());
    assert_eq!(transitions(&taken), Some(1));
    let after = claim(Some(&give_back(&taken, now())), "a", LEASE, now());
    assert_eq!(transitions(&after), Some(2));
}

/// Within 15 s, however unfavourable the moment, as long as an API answers within half a second.
///
/// Seen red with: a lease of 20 s.
#[test]
fn a_new_leader_is_there_in_time() {
    let settings = Settings::new("h");
    let answer = Duration::from_millis(500);
    assert!(settings.failover(answer) <= Duration::from_secs(15));
    // What is written into a Lease are whole seconds.
    assert_eq!(settings.lease.subsec_nanos(), 0);
}

/// Seen red with: `Settings::term` being the whole lease.
#[test]
fn a_leader_stops_before_others_begin() {
    let settings = Settings::new("h");
    assert!(settings.renew + settings.write < settings.term());
    assert!(settings.term() + settings.write < settings.lease);
}

/// Seen red with: versions not compared.
#[test]
fn a_term_ends_with_the_store_it_was_in() {
    let mine = held("a", "7");
    let mut other = held("a", "9");
    other.metadata.uid = Some("another".to_owned());
    let rows = [
        // A renewal whose answer was lost.
        (held("a", "9"), true),
        (held("a", "7"), true),
        // A store that was restored from an older copy.
        (held("a", "5"), false),
        (held("b", "9"), false),
        (other, false),
        (held("a", "opaque"), true),
    ];
    for (found, expected) in rows {
        assert_eq!(
            goes_on(&mine, &found, "a"),
            expected,
            "{:?}",
            found.metadata
        );
    }
}
