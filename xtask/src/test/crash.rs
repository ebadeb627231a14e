//! The agent is ended at each of its fail points, and at random moments.
//!
//! The work is done by `guest-crash` inside the guests (xtask/src/bin/guest-crash). Two guests run at
//! once: an emulated one keeps one CPU of this machine busy.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scale;
use super::report::Report;
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Machine, Spec, address};

/// Kills at random moments, in CI and in full.
const KILLS: (u32, u32) = (100, 1000);

/// How long one command inside a guest may take; only a guest that hangs takes that long.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let Scale { full, seed } = scale;
    let Some([one, other]) = report.need(&format!("{kernel} crash: boot"), || boot(lab)) else {
        return;
    };
    let kills = if full { KILLS.1 } else { KILLS.0 };
    let points = format!(
        "guest-crash points --device /dev/vda --address {}{}",
        address(1),
        if full { " --exhaust" } else { "" }
    );
    let random = format!(
        "guest-crash random --device /dev/vda --address {} --seed {seed} --kills {kills}",
        address(2)
    );
    let (points, random) = std::thread::scope(|scope| {
        let points = scope.spawn(|| inside(&one, &points));
        let random = inside(&other, &random);
        let points = points.join();
        (
            points.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked"))),
            random,
        )
    });
    for (name, done) in [
        (format!("{kernel} crash: every fail point"), points),
        (
            format!("{kernel} crash: {kills} random kills (seed {seed})"),
            random,
        ),
    ] {
        let mut said = None;
        report.case(&name, || {
            done.map(|text| said = text.lines().last().map(str::to_owned))
        });
        if let Some(said) = said {
            report.figure(format!("  {said}"));
        }
    }
    report.case(&format!("{kernel} crash: clean stop"), || {
        one.stop()?;
        other.stop()
    });
}

fn boot(lab: &Lab) -> Result<[Machine; 2]> {
    let points = Disk::plain(lab.dir(), "points", 4 << 30)?;
    let random = Disk::plain(lab.dir(), "random", 4 << 30)?;
    let spec = |name, address, disks| Spec {
        name,
        address,
        memory_mib: 1024,
        disks,
    };
    lab.boot([spec("points", 1, &[&points]), spec("random", 2, &[&random])])
}

/// Runs the test inside a guest; what it said.
fn inside(machine: &Machine, command: &str) -> Result<String> {
    let script = format!("modprobe -a nvmet-tcp nvme-tcp && {command}");
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

fn last(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
