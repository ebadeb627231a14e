//! The agent is ended at each of its fail points, and at random moments.
//!
//! The work is done by `guest-crash` inside the guests (xtask/src/bin/guest-crash). Two guests run at
//! once: an emulated one keeps one CPU of this machine busy.
//!
//! Seen red at a fail point, with: the steps of `new_volume` (plan/create.rs) rotated, so that an LV comes before its
//! record; `RemoveVolume` first among the steps of `deleting` (plan/delete.rs), so that a record goes before its LV;
//! `unused_hosts` (plan/exports.rs) returning at once. That a command outlives its agent unnoticed (`Stdio::null()` in
//! cmd/turn.rs) was not seen here: commands end too soon. A unit test of that file is about it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scale;
use super::report::{Case, Report};
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Machine, Spec, address};

/// Kills at random moments, in CI and in full.
const KILLS: (u32, u32) = (30, 1000);

/// Lives in which the agent is ended at each fail point once, in CI and in full.
const LIVES: (u32, u32) = (1, 6);

/// Of how many parts of the fail points CI takes one, which the seed tells.
const PARTS: u64 = 8;

/// How long one command inside a guest may take; only a guest that hangs takes that long.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// Parts of `guest-crash`, and the hosts they run on.
pub(super) const POINTS: &str = "points";
pub(super) const RANDOM: &str = "random";

/// A part of `guest-crash`, run; what it said.
pub(super) type Part<'a> = Case<'a, String>;

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let Scale { full, seed, .. } = scale;
    let Some([one, other]) = report.need(&format!("{kernel} crash: boot"), || boot(lab)) else {
        return;
    };
    let kills = if full { KILLS.1 } else { KILLS.0 };
    let (lives, part) = match full {
        true => (LIVES.1, "0/1".to_owned()),
        false => (LIVES.0, format!("{}/{PARTS}", scale.drawn(0, PARTS))),
    };
    let lives = format!("--lives {lives} --part {part}");
    let kill = format!("--seed {seed} --kills {kills}");
    let points: Part<'_> = (
        format!("{kernel} crash: fail points, part {part}"),
        Box::new(|| inside(&one, POINTS, 1, &lives)),
    );
    let random: Part<'_> = (
        format!("{kernel} crash: {kills} random kills (seed {seed})"),
        Box::new(|| inside(&other, RANDOM, 2, &kill)),
    );
    side_by_side(report, vec![points, random]);
    report.case(&format!("{kernel} crash: clean stop"), || {
        one.stop()?;
        other.stop()
    });
}

/// Runs parts of `guest-crash` at the same time, and reports the line with which each ended.
pub(super) fn side_by_side(report: &mut Report, parts: Vec<Part<'_>>) {
    for said in report.side_by_side(parts).into_iter().flatten() {
        report.figure(format!("  {}", last(&said, 1)));
    }
}

fn boot(lab: &Lab) -> Result<[Machine; 2]> {
    let points = Disk::plain(lab.dir(), POINTS, 4 << 30)?;
    let random = Disk::plain(lab.dir(), RANDOM, 4 << 30)?;
    let spec = |name, address, disks| Spec {
        name,
        address,
        memory_mib: 1024,
        disks,
    };
    lab.boot([spec(POINTS, 1, &[&points]), spec(RANDOM, 2, &[&random])])
}

/// Runs a part of `guest-crash` inside a guest, whose first disk is its to use; what it said.
pub(super) fn inside(
    machine: &Machine,
    part: &str,
    last_byte: u8,
    arguments: &str,
) -> Result<String> {
    let script = format!(
        "modprobe -a nvmet-tcp nvme-tcp && \
         guest-crash {part} --device /dev/vda --address {} {arguments}",
        address(last_byte)
    );
    let output = machine
        .guest
        .run_for(&script, LIMIT)
        .context("running guest-crash")?;
    ensure!(
        output.code == 0,
        "{}\n{}",
        last(&output.stdout, 40),
        last(&output.stderr, 60)
    );
    Ok(output.stdout)
}

/// The last lines of a text.
fn last(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
