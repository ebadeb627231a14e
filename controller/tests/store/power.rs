//! The power is cut, anywhere.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use weir_controller::standalone::store::{Expected, Revision, Store};

use crate::medium::{Flushes, Medium};
use crate::objects::{indexer, key, put};
use crate::recording::{LIMITS, Made, Recording};
use crate::tape::Player;

/// How many cuts, unless `WEIR_CRASH_POINTS` says otherwise.
const CUTS: usize = 100;

/// Every acknowledged write is there exactly, nothing is torn, the revision does not go back, and a
/// watch resumes without a gap. What was left is then opened and written again, and the power cut
/// a second time, in the midst of recovery or after it.
///
/// Seen red with: `Durability::None`; one log entry in 64 left out; the revision not
/// written; `Expected` checked against memory alone.
#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let seed = seed();
    let recording = Recording::make(seed, Flushes::Work);
    let changes = recording.made.len() as u64;
    assert!(changes > 500, "only {changes} changes");
    assert!(
        recording.fsyncs * 3 < changes * 2,
        "{} flushes for {changes} changes: no groups",
        recording.fsyncs
    );
    let mut rng = Rng::with_seed(seed);
    let mut player = recording.player();
    for cut in cuts(&recording, &mut rng) {
        let left = player.cut(cut, &mut rng);
        let promised = recording.promised(cut);
        if let Err(why) = survive(&recording, left, promised, &mut rng) {
            panic!("seed {seed}, cut after step {cut} of the disk: {why}");
        }
    }
}

/// The same on a disk that only says that it flushes must lose what was acknowledged, or the test
/// above would prove nothing.
#[test]
fn a_disk_that_only_claims_to_flush_is_found_out() {
    let seed = seed();
    let recording = Recording::make(seed, Flushes::Lie);
    let mut rng = Rng::with_seed(seed);
    let mut player = recording.player();
    let cuts = cuts(&recording, &mut rng);
    let (mut lost, mut unusable) = (0, 0);
    for &cut in &cuts {
        let left = player.cut(cut, &mut rng);
        let promised = recording.promised(cut);
        let survive = || survive(&recording, left, promised, &mut rng);
        match catch_unwind(AssertUnwindSafe(survive)) {
            Ok(Ok(())) => {}
            Ok(Err(why)) if why.contains("was acknowledged") => lost += 1,
            // What is so torn does not open at all, or redb panics on it.
            _ => unusable += 1,
        }
    }
    let all = cuts.len();
    let found = format!("{lost} of {all} cuts lost what was acknowledged, {unusable} everything");
    assert!(lost > 0 && (lost + unusable) * 2 > all, "only {found}");
    println!("{found}");
}

/// Opens what is left, checks it, writes, is cut off again, and checks that.
fn survive(
    recording: &Recording,
    left: Vec<u8>,
    promised: Revision,
    rng: &mut Rng,
) -> Result<(), String> {
    let medium = Medium::holding(left.clone());
    let store = open(&medium)?;
    let revision = recording.check(&store, promised)?;
    let key = key("after-the-cut");
    let change = put(&key, "pool-0", "", Expected::Absent);
    let stored = block_on(store.commit(change)).map_err(|error| format!("{error:?}"))?;
    if stored.revision != revision.next() {
        return Err(format!("after {revision} comes {}", stored.revision));
    }
    let acknowledged = medium.position();
    drop(store);

    let mut continued = recording.clone();
    continued
        .made
        .truncate(usize::try_from(revision.0 - 1).unwrap());
    continued.made.push(Made {
        key,
        bytes: stored.bytes,
        removed: false,
        acknowledged,
    });
    let steps = medium.steps();
    let cut = rng.usize(..=steps.len());
    let promised = match cut >= acknowledged {
        true => revision.next(),
        false => revision,
    };
    let left = Player::new(left, &steps).cut(cut, rng);
    let store = open(&Medium::holding(left)).map_err(|why| format!("second cut: {why}"))?;
    let checked = continued.check(&store, promised);
    checked.map_err(|why| format!("second cut: {why}"))?;
    Ok(())
}

fn open(medium: &Medium) -> Result<Store, String> {
    let opened = Store::open_with(medium.backend(), indexer(), LIMITS);
    opened.map_err(|error| format!("the store does not open: {error:?}"))
}

/// Where to cut, in order.
fn cuts(recording: &Recording, rng: &mut Rng) -> Vec<usize> {
    let cuts = env::var("WEIR_CRASH_POINTS").ok();
    let cuts = cuts.map_or(CUTS, |cuts| cuts.parse().unwrap());
    let all = recording.opened..=recording.steps.len();
    let mut cuts: Vec<usize> = (0..cuts).map(|_| rng.usize(all.clone())).collect();
    cuts.sort_unstable();
    cuts
}

/// Always the same unless `WEIR_SEED` names another; a failure tells it.
fn seed() -> u64 {
    match env::var("WEIR_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => 5,
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}
