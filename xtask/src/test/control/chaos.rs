//! Controllers, agents and the API are killed, paused and cut off at random, while volumes are made and deleted.
//!
//! What happens is drawn from the seed ([`driver`]); each step is carried out in two VMs ([`cluster`]). All along, what is
//! on the nodes is held against what was ordered: no LV of a volume vanishes whose deletion nobody asked for, none is ever on
//! both nodes. At the end, when all run again, each volume is Ready and on exactly one node with its data, or there is nothing
//! of it anywhere, and what pools say of their space is what LVM says.
//!
//! Seen red with: `self.status = None` left out of `Past::said` (agent/src/join/tell.rs): a pool's free space stays what it was
//! when the API was away. That is how this test found it. With `phase == Deleted` left out of `decide::volume`, so that the finalizer
//! goes first: LVs stay of which there is no object. With the first block of a volume not zeroed (`disk::zero`): a new volume has
//! another one's mark.
//! Not to be seen here: a bind that asks for no version is refused by the rule that `poolName` never changes; and a rejection that
//! is told before it is recorded matters only if room comes, the API is away and the controller was faster, all within
//! moments (`engine/tests/join.rs` of the agent has that order of events).

mod cluster;
mod driver;
mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::super::Scale;
use super::super::report::Report;
use crate::vm::disk::Disk;
use crate::vm::machine::Lab;
use cluster::{Cluster, NODES, object};
use driver::{Act, Driver, State, Volume};
use look::{Seen, look, lv, mark, marker, number};

/// How long the storm lasts, in CI and in full.
const SECONDS: (u64, u64) = (60, 600);
/// Hardly more than a node's volumes take at most: LVM begins with the largest free area, and is to come to where others were.
const DISK: u64 = 256 << 20;
/// How long everything may take to come about once nothing is in its way.
const CALM: Duration = Duration::from_secs(120);
/// How often what the API did not take is asked for again at the end.
const ATTEMPTS: u32 = 40;

/// In the environment: how long the storm lasts, for a trial.
pub(super) const TRIAL: &str = "WEIR_CHAOS_SECONDS";

pub(super) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let seconds = std::env::var(TRIAL).ok().and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or(if scale.full { SECONDS.1 } else { SECONDS.0 });
    let (kernel, seed) = (lab.kernel, scale.seed);
    let name = format!("{kernel} control: chaos for {seconds} s (seed {seed})");
    let done = report.need(&name, || chaos(lab, seed, Duration::from_secs(seconds)));
    if let Some(done) = done {
        report.figure(format!("  {done}"));
    }
}

fn chaos(lab: &Lab, seed: u64, time: Duration) -> Result<String> {
    let disks = [
        Disk::plain(lab.dir(), "chaos-one", DISK)?,
        Disk::plain(lab.dir(), "chaos-two", DISK)?,
    ];
    let cluster = Cluster::start(lab, [&disks[0], &disks[1]])?;
    let mut chaos = Chaos {
        begun: Instant::now(),
        cluster,
        driver: Driver::new(seed),
        log: Vec::new(),
        faults: 0,
        tried: BTreeSet::new(),
        homes: BTreeMap::new(),
        marked: BTreeSet::new(),
    };
    let done = chaos.storm(time).and_then(|()| chaos.calm());
    let done = done.with_context(|| chaos.story(seed))?;
    chaos.cluster.stop()?;
    Ok(done)
}

struct Chaos {
    begun: Instant,
    cluster: Cluster,
    driver: Driver,
    /// Each step, and what came of it.
    log: Vec<String>,
    faults: usize,
    /// Volumes whose deletion was asked for at least once.
    tried: BTreeSet<usize>,
    /// On which node each LV is or was.
    homes: BTreeMap<String, usize>,
    /// LVs with markers.
    marked: BTreeSet<String>,
}

impl Chaos {
    fn storm(&mut self, time: Duration) -> Result<()> {
        while self.begun.elapsed() < time {
            let act = self.driver.next();
            self.take(&act)?;
        }
        Ok(())
    }

    /// Everything runs again: it converges. What there was, in one line.
    fn calm(&mut self) -> Result<String> {
        let mut attempts = 0;
        while let Some(act) = self.driver.finish() {
            self.take(&act)?;
            attempts += 1;
            ensure!(attempts < ATTEMPTS, "the API does not take: {act:?}");
        }
        self.note("all of it was asked for, and everything runs");
        self.cluster.check_alive()?;
        let (volumes, cluster) = (self.driver.volumes(), &self.cluster);
        let calmed = Instant::now();
        Cluster::until(CALM, || settled(cluster, volumes))?;
        let seconds = calmed.elapsed().as_secs();
        self.look()?;
        self.check_marks()?;
        self.cluster.check_alive()?;
        self.cluster.check_logs()?;
        let (all, steps) = (self.driver.volumes().len(), self.log.len());
        let doomed = self
            .driver
            .volumes()
            .iter()
            .filter(|volume| volume.is_doomed());
        Ok(format!(
            "{steps} steps, {} faults, {all} volumes, {} of them deleted, {} markers; calm after {seconds} s",
            self.faults,
            doomed.count(),
            self.marked.len()
        ))
    }

    fn take(&mut self, act: &Act) -> Result<()> {
        let came = match act {
            Act::Create(batch) => self.create(batch)?,
            Act::Delete(batch) => self.delete(batch)?,
            Act::Strike(part, fault) => {
                self.faults += 1;
                self.cluster.strike(*part, *fault)?;
                String::new()
            }
            Act::Heal(part, fault) => {
                self.cluster.heal(*part, *fault)?;
                String::new()
            }
            Act::Look => self.look()?,
            Act::Rest(millis) => {
                std::thread::sleep(Duration::from_millis(*millis));
                String::new()
            }
        };
        self.note(&format!("{act:?} {came}"));
        Ok(())
    }

    fn create(&mut self, batch: &[usize]) -> Result<String> {
        let items: Vec<Value> = batch
            .iter()
            .map(|number| object(&self.driver.volumes()[*number]))
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let file = "/run/weir/created.json";
        self.cluster.guest(0).write(file, &list.to_string())?;
        let output = self
            .cluster
            .kubectl(&format!("create --validate=false -f {file}"))?;
        let mut taken = Vec::new();
        for number in batch {
            let name = self.driver.volumes()[*number].name();
            if output.stdout.contains(&format!("/{name} created"))
                || output
                    .stderr
                    .contains(&format!("\"{name}\" already exists"))
            {
                taken.push(*number);
                self.driver.reached(*number, State::There);
            }
        }
        Ok(format!("took {taken:?} {}", first_line(&output.stderr)))
    }

    fn delete(&mut self, batch: &[usize]) -> Result<String> {
        let volumes = self.driver.volumes();
        let names: Vec<String> = batch.iter().map(|one| volumes[*one].name()).collect();
        let command = format!("delete wvol {} --wait=false", names.join(" "));
        let output = self.cluster.kubectl(&command)?;
        let mut taken = Vec::new();
        for (number, name) in batch.iter().zip(&names) {
            let is_gone = output.stderr.contains(&format!("\"{name}\" not found"));
            ensure!(
                !is_gone || self.tried.contains(number),
                "{name} is gone, and nobody asked for that"
            );
            if is_gone || output.stdout.contains(&format!("\"{name}\" deleted")) {
                taken.push(*number);
                self.driver.reached(*number, State::Ordered);
            }
            self.tried.insert(*number);
        }
        Ok(format!("took {taken:?} {}", first_line(&output.stderr)))
    }

    /// Holds what is on the nodes against what was ordered, and marks what is new.
    fn look(&mut self) -> Result<String> {
        let seen = seen(&self.cluster)?;
        for (node, seen) in seen.iter().enumerate() {
            for lv in seen.lvs.keys() {
                let home = *self.homes.entry(lv.clone()).or_insert(node);
                ensure!(home == node, "{lv} was placed twice: {seen:?}");
            }
        }
        let mut gone = Vec::new();
        for volume in self.driver.volumes() {
            let (id, lv) = (volume.id(), lv(&volume.id()));
            let is_there = seen.iter().any(|seen| seen.lvs.contains_key(&lv));
            if let Some(home) = self.homes.get(&lv) {
                ensure!(
                    is_there || volume.is_doomed(),
                    "{} was on {}, and is gone without an order",
                    volume.name(),
                    NODES[*home]
                );
            }
            let is_recorded = seen.iter().any(|seen| seen.records.contains_key(&id));
            if volume.state == State::Ordered && !is_there && !is_recorded {
                gone.push(volume.number);
            }
        }
        for number in gone {
            self.driver.reached(number, State::Gone);
        }
        for (node, seen) in seen.iter().enumerate() {
            self.mark(node, seen)?;
        }
        let counts = seen.map(|seen| (seen.lvs.len(), seen.records.len()));
        Ok(format!("LVs and records: {counts:?}"))
    }

    /// Writes a marker into what is Ready and to stay.
    fn mark(&mut self, node: usize, seen: &Seen) -> Result<()> {
        let volumes = self.driver.volumes().iter();
        let fresh = volumes.filter(|volume| {
            let is_ready = seen
                .records
                .get(&volume.id())
                .is_some_and(|state| state == "Ready");
            is_ready && !volume.is_doomed() && !self.marked.contains(&lv(&volume.id()))
        });
        let fresh: Vec<String> = fresh.map(|volume| lv(&volume.id())).collect();
        for (lv, found) in mark(self.cluster.guest(node), NODES[node], &fresh, true)? {
            ensure!(found == marker(&lv), "{lv} was new and has `{found}` in it");
            self.marked.insert(lv);
        }
        Ok(())
    }

    /// What is to stay has its marker, all of it.
    fn check_marks(&self) -> Result<()> {
        let volumes = self.driver.volumes().iter();
        let there = volumes.filter(|volume| !volume.is_doomed());
        let there: Vec<String> = there.map(|volume| lv(&volume.id())).collect();
        for (node, name) in NODES.into_iter().enumerate() {
            let here = there.iter().filter(|lv| self.homes.get(*lv) == Some(&node));
            let here: Vec<String> = here.cloned().collect();
            let found = mark(self.cluster.guest(node), name, &here, false)?;
            for lv in here {
                let found = found.get(&lv).map(String::as_str);
                let wanted = marker(&lv);
                ensure!(found == Some(&wanted), "{lv} has {found:?} in it");
            }
        }
        Ok(())
    }

    fn note(&mut self, what: &str) {
        let at = self.begun.elapsed().as_secs_f32();
        self.log.push(format!("{at:6.1} {what}"));
    }

    /// What a person needs to find out why.
    fn story(&self, seed: u64) -> String {
        format!(
            "seed {seed}\n{}\n{}",
            self.log.join("\n"),
            self.cluster.logs()
        )
    }
}

/// Both nodes, looked at side by side.
fn seen(cluster: &Cluster) -> Result<[Seen; 2]> {
    let [one, two] = [0, 1].map(|node| (cluster.guest(node), NODES[node]));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| look(two.0, two.1));
        let one = look(one.0, one.1)?;
        let other = other.join();
        Ok([one, other.unwrap_or_else(|_| bail!("a thread panicked"))?])
    })
}

/// Fails unless everything is as it was asked for.
fn settled(cluster: &Cluster, volumes: &[Volume]) -> Result<()> {
    let list = |kind: &str| -> Result<Vec<Value>> {
        let output = cluster.kubectl(&format!("get {kind} -o json"))?;
        let mut list: Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
        Ok(serde_json::from_value(list["items"].take())?)
    };
    let (objects, pools, seen) = (list("wvol")?, list("wpool")?, seen(cluster)?);
    let mut wanted = [Seen::default(), Seen::default()];
    let there = volumes.iter().filter(|volume| !volume.is_doomed());
    let there: Vec<&Volume> = there.collect();
    for object in &objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let asked = there.iter().any(|volume| volume.name() == name);
        ensure!(asked, "{name} is still there: {object}");
    }
    for volume in there {
        let name = volume.name();
        let mut objects = objects.iter();
        let object = objects.find(|object| object["metadata"]["name"] == name.as_str());
        let object = object.with_context(|| format!("{name} is not there"))?;
        let status = &object["status"];
        ensure!(status["phase"] == "Ready", "{name} is not Ready: {object}");
        let node = NODES
            .iter()
            .position(|node| object["spec"]["poolName"] == **node);
        let node = node.with_context(|| format!("{name} is in no pool: {object}"))?;
        let is_told = status["target"].is_object();
        ensure!(is_told == volume.is_attached, "{name}'s target: {object}");
        let node = &mut wanted[node];
        node.lvs.insert(lv(&volume.id()), volume.mib << 20);
        node.records.insert(volume.id(), "Ready".to_owned());
        if volume.is_attached {
            node.exports.push(volume.id());
        }
    }
    for (node, (seen, mut wanted)) in seen.into_iter().zip(wanted).enumerate() {
        (wanted.size, wanted.free) = (seen.size, seen.free);
        wanted.exports.sort();
        let name = NODES[node];
        ensure!(seen == wanted, "{name} has {seen:?} instead of {wanted:?}");
        let pool = pools.iter().find(|pool| pool["metadata"]["name"] == name);
        let pool = pool.with_context(|| format!("pool {name} is not there"))?;
        let told = |field: &str| number(&pool["status"][field]);
        let used: u64 = seen.lvs.values().sum();
        let count = seen.lvs.len() as u64;
        let is_right = told("capacityBytes") == Some(seen.size)
            && told("freeBytes") == Some(seen.free)
            && told("allocatedBytes").is_none_or(|told| told == used)
            && told("volumes").is_none_or(|told| told == count);
        ensure!(is_right, "pool {name} says {pool}, and LVM {seen:?}");
    }
    Ok(())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
