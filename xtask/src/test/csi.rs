//! The CSI plugin as Kubernetes uses it, on real devices, mounts and targets.
//!
//! Three VMs: one stores, serves the API and uses volumes itself, two only use them. `guest-csi` plays kubelet on each and the sidecars.

mod claim;
mod cluster;
mod format;
mod hang;
mod life;
mod many;
mod moves;
mod rpc;

use anyhow::Result;

use super::Scale;
use super::report::Report;
use crate::vm::machine::Lab;
use cluster::{Cluster, Disks, Node};

/// In the environment: the cases whose names contain one of these words, which commas separate, for whoever works on them.
const ONLY: &str = "WEIR_CSI_ONLY";

/// The number of the seed's choice: CI has time for some of the cases.
const CHOICE: u32 = 20;

/// What a case does.
type Case<'a> = dyn Fn(&mut Cluster) -> Result<()> + 'a;

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let disks = report.need(&format!("{kernel} csi: disks"), || Disks::new(lab));
    let Some(disks) = disks else { return };
    let cluster = report.need(&format!("{kernel} csi: boot"), || {
        Cluster::boot(lab, &disks)
    });
    let Some(mut cluster) = cluster else { return };
    let only = std::env::var(ONLY).ok();
    let mut case = |name: &str, due: bool, run: &mut dyn FnMut(&mut Cluster) -> Result<()>| {
        let is_due = only
            .as_ref()
            .map_or(due, |only| only.split(',').any(|one| name.contains(one)));
        if is_due {
            report.case(&format!("{kernel} csi: {name}"), || run(&mut cluster));
        }
    };
    for (number, first, then) in [(0, Node::A, Node::S), (1, Node::S, Node::B)] {
        let name = format!("lives, on {first:?} and then on {then:?}");
        case(&name, scale.is_due(CHOICE, number, 2), &mut |cluster| {
            life::three(cluster, first, then)
        });
    }
    // Of the first three groups CI has time for one, of the last two likewise.
    let due = |number| scale.is_due(CHOICE + 1, number, 3);
    let (formatting, moving, hanging) = (due(0), due(1), due(2));
    let due = |number| scale.is_due(CHOICE + 2, number, 2);
    let (wrong, interrupted) = (due(0), due(1));
    let parts: [(bool, &str, &Case<'_>); 9] = [
        (formatting, "formatting is interrupted", &|cluster| {
            format::interrupted(cluster, scale)
        }),
        (
            formatting,
            "formatting a wiped device is refused",
            &|cluster| format::wiped(cluster),
        ),
        (
            formatting,
            "formatting an unreadable device is refused",
            &|cluster| format::unreadable(cluster),
        ),
        (moving, "moves", &|cluster| {
            moves::run(lab, &disks, cluster, scale)
        }),
        (
            hanging,
            "a target that hangs, and one that is gone",
            &|cluster| hang::waits(cluster, scale),
        ),
        (wrong, "what is wrong with a request", &|cluster| {
            rpc::arguments(cluster)
        }),
        (wrong, "requests beside themselves", &|cluster| {
            rpc::beside_itself(cluster)
        }),
        (interrupted, "every step is interrupted", &|cluster| {
            rpc::interrupted(cluster, scale)
        }),
        (interrupted, "many at once", &|cluster| {
            many::run(cluster, scale)
        }),
    ];
    for (due, name, run) in parts {
        case(name, due, &mut |cluster| run(cluster));
    }
    report.case(&format!("{kernel} csi: stop"), || cluster.stop());
}
