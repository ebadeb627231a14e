//! The server is killed at any time, again and again, while clients write and one watches.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

mod journal;
mod watching;
mod writing;

#[path = "../served/objects.rs"]
#[expect(dead_code, reason = "no pool is made here")]
mod made;
#[path = "../served/place.rs"]
#[expect(dead_code, reason = "the server must be ours")]
mod place;
#[path = "../served/process.rs"]
#[expect(dead_code, reason = "the server is killed, never stopped")]
mod process;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::ListParams;
use tokio::time::{sleep, timeout};
use weir_api::crd::Volume;

use journal::Journal;
use place::Place;

/// How many clients write.
const WRITERS: u64 = 6;

/// What was acknowledged is there, versions never go back, and a watch that resumes is told everything exactly once.
///
/// Seen red with: in `Writer::settle`, changes shown and answers sent before `self.disk.commit`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives() {
    let seed = number("WEIR_SEED").unwrap_or(5);
    let kills = number("WEIR_KILLS").unwrap_or(5);
    println!("seed {seed}, {kills} kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut place = Place::ours();
    let journal = Arc::new(Journal::default());
    let api = Api::<Volume>::all(place.plain_client().await);

    let begin = api.list(&ListParams::default().limit(1)).await.unwrap();
    let begin = begin.metadata.resource_version.unwrap();
    let watch = tokio::spawn(watching::watch(api.clone(), begin, Arc::clone(&journal)));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let api = Api::<Volume>::all(place.plain_client().await);
        let seed = seed.wrapping_mul(31).wrapping_add(writer);
        writers.push(tokio::spawn(writing::write(
            api,
            writer,
            seed,
            Arc::clone(&journal),
        )));
    }
    let mut before = 0;
    for kill in 0..kills {
        // Some writes first, and then any moment.
        while journal.acknowledged() < before + 20 {
            sleep(Duration::from_millis(5)).await;
            assert!(!watch.is_finished(), "the watch ended");
            assert!(
                writers.iter().all(|writer| !writer.is_finished()),
                "a writer ended"
            );
        }
        sleep(Duration::from_micros(random.u64(0..300_000))).await;
        let process = place.process();
        process.kill();
        process.start_again();
        before = journal.acknowledged();
        println!("kill {kill}: {before} writes acknowledged by then");
    }
    while journal.acknowledged() < before + 20 {
        sleep(Duration::from_millis(5)).await;
    }
    journal.stop();
    for writer in writers {
        writer.await.unwrap();
    }
    let all = api.list(&ListParams::default()).await.unwrap();
    journal.check_list(&all.items);
    let last: u64 = all.metadata.resource_version.unwrap().parse().unwrap();
    let caught_up = async {
        while !journal.has_watched(last) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let caught_up = timeout(Duration::from_secs(30), caught_up).await;
    caught_up.expect("the watch comes to the newest version");
    watch.abort();
    journal.check_watch();
    println!(
        "{} writes acknowledged, seed {seed}",
        journal.acknowledged()
    );
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}
