//! The crash test's random kills, on a host where udev and systemd take part: devices get their nodes
//! from udev, which has each of them open for a moment whenever it appears or changes.

use anyhow::Result;

use super::WITH_RULES;
use crate::test::report::Report;
use crate::test::{Scale, crash};
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Spec};

/// Kills at random moments, in CI and in full.
const KILLS: (u32, u32) = (30, 200);

/// Random kills on one host; in full all fail points on another, at the same time.
pub(super) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let Scale { full, seed, .. } = scale;
    let kills = if full { KILLS.1 } else { KILLS.0 };
    let arguments = format!("--seed {seed} --kills {kills}");
    let mut parts: Vec<crash::Part<'_>> = vec![(
        format!("{kernel} host: {kills} random kills (seed {seed})"),
        Box::new(|| inside(lab, crash::RANDOM, 3, &arguments)),
    )];
    if full {
        parts.push((
            format!("{kernel} host: every fail point"),
            Box::new(|| inside(lab, crash::POINTS, 4, "")),
        ));
    }
    crash::side_by_side(report, parts);
}

/// Runs a part of `guest-crash` on a host of its own; what it said.
fn inside(lab: &Lab, part: &str, last_byte: u8, arguments: &str) -> Result<String> {
    let disk = Disk::plain(lab.dir(), part, 4 << 30)?;
    let spec = Spec {
        name: part,
        address: last_byte,
        memory_mib: 1024,
        disks: &[&disk],
    };
    let mut machine = lab.start_with(&spec, WITH_RULES)?;
    machine.wait_ready()?;
    let done = crash::inside(&machine, part, last_byte, arguments);
    machine.cut_power()?;
    done
}
