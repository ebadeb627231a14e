//! Volumes live and go, each request made twice, as kubelet and the sidecars do after every doubt.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::claim::{Claim, Form, Made};
use super::cluster::{Cluster, Node};

/// How many blocks a pod writes.
const BLOCKS: u64 = 8;

/// One volume of each form at once: it is made, written on one node and read on another, and goes.
pub(super) fn three(cluster: &Cluster, first: Node, then: Node) -> Result<()> {
    let claims = [Form::Ext4, Form::Xfs, Form::Block].map(|form| {
        let name = format!("{form:?}-{}", first.name()).to_lowercase();
        Claim::new(&name, form)
    });
    let made = make(cluster, claims.to_vec())?;
    let all: Vec<&Made> = made.iter().collect();
    let stats = bring(cluster, first, &all)?;
    for (volume, stats) in all.iter().zip(stats) {
        let usage = &stats["usage"][0];
        let total = usage["total"].as_u64().unwrap_or_default();
        let whole = volume.claim.mib << 20;
        ensure!(
            total > whole / 2 && total <= whole && stats["volume_condition"]["abnormal"] != true,
            "{} of {whole} bytes says {stats}",
            volume.claim.name
        );
        write(cluster, first, volume, 0, BLOCKS)?;
    }
    take(cluster, first, &all)?;
    cluster.is_clean(first)?;
    bring(cluster, then, &all)?;
    for volume in &all {
        holds(cluster, then, volume, BLOCKS)?;
        write(cluster, then, volume, BLOCKS, BLOCKS)?;
    }
    take(cluster, then, &all)?;
    remove(cluster, &all)?;
    cluster.is_empty()
}

/// Makes volumes, each asked for twice.
pub(super) fn make(cluster: &Cluster, claims: Vec<Claim>) -> Result<Vec<Made>> {
    let calls = claims.iter().map(|claim| twice(claim.create()));
    let answers = cluster.sidecars().settled(&json!([at_once(calls)]))?;
    let answers = same_twice(answers)?;
    let made = claims.into_iter().zip(&answers);
    made.map(|(claim, answer)| claim.made(answer)).collect()
}

/// Grants, stages and publishes volumes; what is told of each then.
pub(super) fn bring(cluster: &Cluster, node: Node, all: &[&Made]) -> Result<Vec<Value>> {
    let calls = all.iter().map(|volume| twice(volume.grant(node)));
    let granted = cluster.sidecars().settled(&json!([at_once(calls)]))?;
    let granted = same_twice(granted)?;
    prepare(cluster, node, all)?;
    let calls = all.iter().zip(&granted).map(|(volume, granted)| {
        let calls = [
            volume.stage(granted),
            volume.publish(granted),
            volume.stats(),
        ];
        Value::Array(
            calls
                .into_iter()
                .flat_map(|call| [call.clone(), call])
                .collect(),
        )
    });
    let answers = cluster.kubelet(node).settled(&json!([at_once(calls)]))?;
    let stats = answers.chunks(6).map(|answers| answers[5].clone());
    Ok(stats.collect())
}

/// What kubelet makes before it asks.
pub(super) fn prepare(cluster: &Cluster, node: Node, all: &[&Made]) -> Result<()> {
    let paths: String = all
        .iter()
        .map(|volume| format!(" {}", volume.staging()))
        .collect();
    let pods = format!("{}/pods", crate::scene::plugin::KUBELET);
    let make = format!("mkdir -p {pods}{paths}");
    cluster.guest(node).sh(&make).map(drop)
}

/// Ends the use of volumes on a node, each request made twice.
pub(super) fn take(cluster: &Cluster, node: Node, all: &[&Made]) -> Result<()> {
    let calls = all.iter().map(|volume| {
        let calls = [volume.unpublish(), volume.unstage()];
        Value::Array(
            calls
                .into_iter()
                .flat_map(|call| [call.clone(), call])
                .collect(),
        )
    });
    cluster.kubelet(node).settled(&json!([at_once(calls)]))?;
    tidy(cluster, node, all)?;
    let calls = all.iter().map(|volume| twice(volume.revoke(node)));
    cluster
        .sidecars()
        .settled(&json!([at_once(calls)]))
        .map(drop)
}

/// What kubelet removes afterwards: it fails where something is left.
pub(super) fn tidy(cluster: &Cluster, node: Node, all: &[&Made]) -> Result<()> {
    let paths: String = all
        .iter()
        .map(|volume| format!(" {}", volume.staging()))
        .collect();
    cluster.guest(node).sh(&format!("rmdir{paths}")).map(drop)
}

/// Deletes volumes.
pub(super) fn remove(cluster: &Cluster, all: &[&Made]) -> Result<()> {
    let calls = all.iter().map(|volume| twice(volume.delete()));
    cluster
        .sidecars()
        .settled(&json!([at_once(calls)]))
        .map(drop)
}

/// Writes blocks as a pod does, each flushed.
pub(super) fn write(
    cluster: &Cluster,
    node: Node,
    volume: &Made,
    from: u64,
    count: u64,
) -> Result<()> {
    let write = format!(
        "guest-io append {} /tmp/{}.log {from} {count}",
        volume.data(),
        volume.claim.name
    );
    cluster.guest(node).sh(&write).map(drop)
}

/// Fails unless a pod finds all of these blocks.
pub(super) fn holds(cluster: &Cluster, node: Node, volume: &Made, least: u64) -> Result<()> {
    let blocks = cluster
        .guest(node)
        .sh(&format!("guest-io blocks {}", volume.data()))?;
    let blocks: u64 = blocks.trim().parse()?;
    ensure!(
        blocks >= least,
        "{}: {blocks} blocks are there on {node:?}, and {least} were flushed",
        volume.claim.name
    );
    Ok(())
}

fn twice(call: Value) -> Value {
    json!([call.clone(), call])
}

fn at_once(calls: impl Iterator<Item = Value>) -> Value {
    Value::Array(calls.collect())
}

/// One of each pair of answers, which have to be the same.
fn same_twice(answers: Vec<Value>) -> Result<Vec<Value>> {
    let pairs = answers.chunks(2).map(|pair| {
        ensure!(pair[0] == pair[1], "{} and then {}", pair[0], pair[1]);
        Ok(pair[0].clone())
    });
    pairs.collect()
}
