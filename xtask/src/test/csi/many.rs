//! Many volumes at once on one node.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Scale;
use super::claim::{Claim, Form, Made};
use super::cluster::{Cluster, Node};
use super::life;

const NODE: Node = Node::B;
/// So many are made at once.
const BATCH: usize = 10;

/// Stages and unstages volumes in parallel.
pub(super) fn run(cluster: &Cluster, scale: Scale) -> Result<()> {
    let number = if scale.full { 100 } else { 10 };
    let claim = |number: usize| {
        let form = if number.is_multiple_of(2) {
            Form::Ext4
        } else {
            Form::Block
        };
        Claim {
            mib: 16,
            ..Claim::new(&format!("many-{number}"), form)
        }
    };
    let mut made = Vec::new();
    for first in (0..number).step_by(BATCH) {
        made.extend(life::make(
            cluster,
            (first..first + BATCH).map(claim).collect(),
        )?);
    }
    let all: Vec<&Made> = made.iter().collect();
    let mut granted = Vec::new();
    for some in all.chunks(BATCH) {
        let calls: Vec<_> = some.iter().map(|volume| volume.grant(NODE)).collect();
        granted.extend(cluster.sidecars().settled(&json!([calls]))?);
    }
    life::prepare(cluster, NODE, &all)?;
    let kubelet = cluster.kubelet(NODE);
    let stage: Vec<_> = all
        .iter()
        .zip(&granted)
        .map(|(volume, granted)| {
            let mut call = volume.stage(granted);
            call["within"] = json!(300);
            call
        })
        .collect();
    let begun = std::time::Instant::now();
    let answers = kubelet.settled(&json!([stage]))?;
    let staged = begun.elapsed().as_secs_f64();
    ensure!(answers.len() == all.len(), "{} were staged", answers.len());
    let unstage: Vec<_> = all.iter().map(|volume| volume.unstage()).collect();
    let begun = std::time::Instant::now();
    kubelet.settled(&json!([unstage]))?;
    let unstaged = begun.elapsed().as_secs_f64();
    life::tidy(cluster, NODE, &all)?;
    cluster.is_clean(NODE)?;
    for some in all.chunks(BATCH) {
        let calls: Vec<_> = some.iter().map(|volume| volume.revoke(NODE)).collect();
        cluster.sidecars().settled(&json!([calls]))?;
        life::remove(cluster, some)?;
    }
    cluster.is_empty()?;
    eprintln!("weir: {number} staged in {staged:.1} s, unstaged in {unstaged:.1} s");
    Ok(())
}
