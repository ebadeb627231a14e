//! What a real kube-apiserver answered is answered here: recorded exchanges, one after the other, against a server with
//! the definitions that they were recorded with. Status, the shape of bodies, and every value that is not the server's
//! own choice must be the same, but for what [`deviations`] lists.
//!
//! `transcript.jsonl` is a selection of what kube-apiserver 1.36 answered to kubectl 1.36, to the kube client and to
//! requests made by hand. A line is an exchange, or an object that was there by then because of somebody whose requests
//! were not recorded.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test's figures; and test helpers panic like tests"
)]

mod compare;
mod deviations;
mod fixture;
mod known;
mod player;
mod watch;

use std::collections::BTreeSet;

use serde::de::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use weir_controller::standalone::server::{Limits, Server, Settings};
use weir_controller::standalone::store::StoreLimits;

use deviations::DEVIATIONS;
use fixture::Line;
use player::Player;

#[path = "../served/place.rs"]
#[expect(dead_code, reason = "the server runs in this process")]
mod place;
#[path = "../served/process.rs"]
#[expect(dead_code, reason = "the server runs in this process")]
mod process;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_server_answered_the_same() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(Settings {
        directory: dir.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        names: BTreeSet::new(),
        definitions: definitions(),
        limits: Limits::default(),
        store_limits: StoreLimits::default(),
    });
    let server = server.await.unwrap();
    let (kubeconfig, stop) = (server.kubeconfig().0.to_owned(), server.stop());
    let running = tokio::spawn(server.run());

    let mut player = Player::new(&kubeconfig).await;
    let mut count = 0;
    for line in include_str!("transcript.jsonl").lines() {
        match serde_json::from_str(line).unwrap() {
            Line::Given(given) => player.make_so(&given.given, given.object.as_ref()).await,
            Line::Exchange(exchange) => {
                count += 1;
                player.play(&exchange).await;
            }
        }
    }
    player.end().await;
    judge(count, &player.differences);
    stop.stop();
    running.await.unwrap();
}

/// Fails for differences that are not known, and for known ones that are no more.
fn judge(count: usize, differences: &[(String, String)]) {
    let mut met = vec![0; DEVIATIONS.len()];
    let mut unknown = Vec::new();
    for (label, difference) in differences {
        let known = DEVIATIONS
            .iter()
            .position(|known| known.covers(label, difference));
        match known {
            Some(known) => met[known] += 1,
            None => unknown.push(format!("{label}: {difference}")),
        }
    }
    let gone = DEVIATIONS.iter().zip(&met).filter(|(_, met)| **met == 0);
    let gone: Vec<_> = gone.map(|(known, _)| format!("{known:?}")).collect();
    println!(
        "{count} exchanges, {} differences that are known",
        differences.len() - unknown.len()
    );
    assert!(
        unknown.is_empty() && gone.is_empty(),
        "{} differences that are not known:\n{}\n{} known ones that are no more:\n{}",
        unknown.len(),
        unknown.join("\n"),
        gone.len(),
        gone.join("\n")
    );
}

/// The definitions that the exchanges were recorded with.
fn definitions() -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(include_str!("crds.yaml"));
    documents
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}
