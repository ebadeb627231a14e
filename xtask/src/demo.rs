//! `cargo xtask demo`: the main job, end to end, in three VMs.
//!
//! Pools and volumes are applied with kubectl. The controller places the volumes, two storage nodes carve them out of
//! their disks; two are used on their own node, two by a consumer over NVMe/TCP, all at once; Weir shows what each
//! I/O's time was spent on. Then an agent is killed in mid-I/O, and nothing happens; and a storage node loses power,
//! and the screen shows what an operator would see.

mod agent_kill;
mod cluster;
mod load;
mod node_loss;
mod result;
mod tables;
mod view;
mod volume;

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::progress::{Progress, say};
use crate::vm::machine::Lab;
use cluster::Cluster;
use result::{Demo, Placed};
use view::View;

/// How long fio runs while we watch.
const WATCHED: u32 = 12;

/// Runs it; its result goes to standard output, everything else to standard error.
pub(crate) fn run(lab: &Lab, json: bool) -> Result<()> {
    let begun = Instant::now();
    let disks = cluster::disks(lab)?;
    say(format!(
        "three VMs with Debian's {} kernel ({:?})",
        lab.kernel,
        lab.accel()
    ));
    let progress = Progress::spinner(
        "booting two storage nodes and a consumer; controller and kubectl run on the consumer",
    );
    let mut cluster = Cluster::boot(lab, &disks)?;
    progress.done();

    let progress = Progress::spinner("kubectl apply: two pools, two linear and two thin volumes");
    cluster.apply_pools()?;
    let volumes = volume::apply(&cluster)?;
    progress.done();
    for volume in &volumes {
        say(format!(
            "{} was placed on {}: it is {} ({})",
            volume.name,
            Cluster::name(volume.node),
            volume.device,
            volume.path.name()
        ));
    }

    say(format!(
        "fio on all four at once, {WATCHED} s: what the kernel saw"
    ));
    let mut view = View::new();
    let before = cluster.scrape()?;
    let outcomes = load::on_all(&volumes, &cluster, WATCHED, |_| {
        view.show(&tables::table(&volumes, &before, &cluster.scrape()?, None));
        Ok(())
    })?;
    let after = cluster.scrape()?;
    view.show(&tables::table(&volumes, &before, &after, Some(&outcomes)));
    view.show_below(&tables::histogram(&volumes, &before, &after));
    let entries = tables::entries(&volumes, &outcomes, &before, &after);

    say("the agent is killed with SIGKILL in mid-I/O, and started again 2 s later");
    let agent_kill = agent_kill::kill_agent(&cluster, &volumes)?;
    say(format!(
        "I/O errors: {}; counters went on: {}",
        agent_kill.io_errors, agent_kill.counter_monotonic
    ));
    let node_loss = node_loss::lose_node(&mut cluster, &volumes)?;

    let demo = Demo {
        kernel: cluster.consumer().sh("uname -r")?.trim().to_owned(),
        volumes: entries,
        placed: volumes.iter().map(Placed::of).collect(),
        agent_kill,
        node_loss,
        elapsed_s: begun.elapsed().as_secs_f64(),
    };
    for volume in &volumes {
        volume.disconnect(&cluster)?;
    }
    cluster.stop()?;
    demo.print(json)?;
    let is_unnoticed = demo.agent_kill.io_errors == 0 && demo.agent_kill.counter_monotonic;
    ensure!(
        is_unnoticed,
        "the agent's death did not go unnoticed: {:?}",
        demo.agent_kill
    );
    ensure!(
        demo.node_loss.io_errors == 0,
        "I/O failed instead of waiting for the node: {:?}",
        demo.node_loss
    );
    Ok(())
}
