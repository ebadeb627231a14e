//! Absence is never an order, and nobody reads another's old data.

use anyhow::{Result, ensure};

use super::pair::Pair;
use super::report::Report;
use crate::scene::storage::{self, Agent, Wish};

const KEPT: Wish<'_> = Wish {
    attached: Some((storage::NODE, 1)),
    ..Wish::linear("kept", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0011")
};
const KEPT_THIN: Wish<'_> = Wish {
    name: "kept-thin",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0012",
    thin: true,
    ..KEPT
};

/// What one tenant wrote and no other may read.
const SECRET: &str = "the first tenant's secret";

/// Runs the cases on a pair with an agent and a pool, or brings both.
pub(crate) fn run(pair: &Pair, report: &mut Report) {
    let agent = pair.agent();
    let kernel = pair.kernel;
    report.case(
        &format!("{kernel} absence: requests vanish, then the record"),
        || vanish(pair, &agent),
    );
    for thin in [false, true] {
        let kind = if thin { "thin" } else { "linear" };
        report.case(
            &format!("{kernel} absence: a new {kind} volume holds no old data"),
            || no_old_data(pair, &agent, thin),
        );
    }
}

/// Seen red with: the plan taking a recorded volume without a request for one being deleted.
fn vanish(pair: &Pair, agent: &Agent<'_>) -> Result<()> {
    pair.ensure_pool(agent)?;
    for wish in [&KEPT, &KEPT_THIN] {
        agent.ask(wish)?;
        agent.wait_ready(wish)?;
    }
    let volumes = |what: &str| -> Result<Vec<String>> {
        let list = pair
            .storage
            .guest
            .sh("lvs --noheadings -o lv_name,lv_uuid,lv_active weir-fast")?;
        let rows: Vec<_> = list.lines().map(|line| line.trim().to_owned()).collect();
        ensure!(
            rows.iter().filter(|row| row.starts_with("w_")).count() >= 2,
            "{what}: {list}"
        );
        Ok(rows)
    };
    let before = volumes("before")?;
    // Long enough for several rounds of the agent, each of which logs and reports.
    let rounds = |what: &str| -> Result<()> {
        agent.wait_resync()?;
        let now = volumes(what)?;
        ensure!(now == before, "{what}: {now:?} instead of {before:?}");
        Ok(())
    };
    agent.empty_requests()?;
    rounds("without requests")?;
    agent.empty_record()?;
    rounds("without requests and record")?;
    // A restarted agent meets what looks like a new node whose disk is full of volumes.
    agent.kill()?;
    agent.start()?;
    rounds("after a restart without requests and record")?;
    pair.ensure_pool(agent)?;
    for wish in [&KEPT, &KEPT_THIN] {
        agent.ask(wish)?;
        agent.wait_ready(wish)?;
    }
    rounds("after the requests came back")?;
    for wish in [&KEPT, &KEPT_THIN] {
        agent.delete(wish)?;
    }
    Ok(())
}

/// Seen red with: BLKZEROOUT left out of `disk::zero` (linear). Thin pools zero their blocks in the
/// kernel; the agent refuses one that does not.
fn no_old_data(pair: &Pair, agent: &Agent<'_>, thin: bool) -> Result<()> {
    pair.ensure_pool(agent)?;
    let first = Wish {
        name: "first",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0021",
        thin,
        ..KEPT
    };
    let second = Wish {
        name: "second",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0022",
        thin,
        ..KEPT
    };
    let extents = |wish: &Wish<'_>| {
        let name = format!("w_{}", wish.id.replace('-', ""));
        pair.storage.guest.sh(&format!(
            "lvs --noheadings -o seg_pe_ranges weir-fast/{name}"
        ))
    };
    agent.ask(&first)?;
    let device = agent.wait_ready(&first)?["devicePath"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    pair.storage
        .guest
        .sh(&format!("guest-io fill {device} \"{SECRET}\""))?;
    let old = extents(&first)?;
    agent.delete(&first)?;

    agent.ask(&second)?;
    let device = agent.wait_ready(&second)?["devicePath"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if !thin {
        let new = extents(&second)?;
        ensure!(
            old == new,
            "the second volume lies on {new} instead of {old}: this proves nothing"
        );
    } else {
        // The pool hands out the first volume's blocks again, 64 KiB at a time.
        pair.storage
            .guest
            .sh(&format!("guest-io touch {device} 65536"))?;
    }
    pair.storage
        .guest
        .sh(&format!("guest-io find {device} \"{SECRET}\""))?;
    agent.delete(&second)
}
