//! The agent of a storage node dies in mid-I/O.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::cluster::{Cluster, Scrapes};
use super::load;
use super::result::AgentKill;
use super::tables::total;
use super::view;
use super::volume::Volume;

/// How long fio runs meanwhile.
const SECONDS: u32 = 8;

/// The node whose agent it is.
const VICTIM: usize = 0;

/// Kills it, and starts it again 2 s later.
pub(super) fn kill_agent(cluster: &Cluster<'_>, volumes: &[Volume]) -> Result<AgentKill> {
    let agent = cluster.agent(VICTIM);
    let is_dead = || -> Result<bool> {
        let pid = cluster.storage_guest(VICTIM).run("pidof weir-agent")?;
        Ok(pid.code != 0)
    };
    let counts = |scrapes: &Scrapes| -> Vec<u64> {
        let count = |volume: &Volume, op| total(scrapes, volume, op).count();
        let of = |volume| view::OPS.map(|op| count(volume, op));
        volumes.iter().flat_map(of).collect()
    };
    let before = counts(&cluster.scrape()?);
    let mut killed = None;
    let outcomes = load::on_all(volumes, cluster, SECONDS, |elapsed| {
        match killed {
            None if elapsed > Duration::from_secs(2) => {
                agent.kill()?;
                killed = Some(Instant::now());
            }
            Some(when) if when.elapsed() > Duration::from_secs(2) && is_dead()? => agent.start()?,
            _ => {}
        }
        Ok(())
    })?;
    ensure!(
        killed.is_some(),
        "fio ended before the agent could be killed"
    );
    if is_dead()? {
        agent.start()?;
    }
    let after = counts(&cluster.scrape()?);
    // What fio did while nobody watched must be in the counters too.
    let did = outcomes
        .iter()
        .flat_map(|outcome| [outcome.read.ios, outcome.write.ios]);
    let went_on = before
        .iter()
        .zip(&after)
        .zip(did)
        .all(|((before, after), did)| *after >= before + did);
    let io_errors = outcomes.iter().map(|outcome| outcome.errors).sum();
    Ok(AgentKill {
        io_errors,
        counter_monotonic: went_on,
    })
}
