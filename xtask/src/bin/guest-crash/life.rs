//! The life of a pool and its volumes, in which the agent ends itself once at each fail point.
//!
//! Whatever step a plan of this life has, and whatever effect such a step has, the agent is ended
//! there once: it notes each point that it ends at, and goes past it from then on. Which points there
//! are is not written down anywhere. That no kind of step or subject was missed is checked against
//! the agent's own list of them. Of a part of the points, the agent goes past the others.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::agent::{Agent, NODE, PATIENCE, Waited};
use crate::node::{Node, dm_devices};
use crate::wishes::{Pool, REMOTE, Wishes};
use crate::{check, data, run, say};

pub(crate) struct Life {
    agent: Agent,
    wishes: Wishes,
    /// Device-mapper devices that were there before.
    foreign: BTreeSet<String>,
    points: PathBuf,
    /// A device whose writes can be slowed, over the real one.
    slow: String,
    ends: u32,
    value: u64,
}

impl Life {
    /// `part`: of the fail points, as `1/3`.
    pub(crate) fn new(mut agent: Agent, mut wishes: Wishes, part: String) -> Self {
        let points = agent.record.with_file_name("fail-points");
        agent.fail_points = Some(points.clone());
        agent.part = part;
        let slow = std::mem::replace(&mut wishes.pool.device, "/dev/mapper/slow".to_owned());
        let foreign = BTreeSet::new();
        Life {
            agent,
            wishes,
            foreign,
            points,
            slow,
            ends: 0,
            value: 0,
        }
    }

    /// Lives so many times. The first life meets every kind of step and effect. Later ones meet what
    /// is left of plans that were cut short where no earlier life cut them, fewer each time; but what has
    /// become of two plans at once depends on the moment, so there is no last one.
    pub(crate) fn live(&mut self, lives: u32) -> Result<()> {
        self.delay(0)?;
        self.foreign = dm_devices()?;
        let mut new = Vec::new();
        for _ in 0..lives {
            let before = self.ends;
            self.one_life()?;
            new.push((self.ends - before).to_string());
            say(format!("new fail points in each life: {}", new.join(", ")));
        }
        self.all_kinds_were_hit(&new.join(", "))
    }

    fn one_life(&mut self) -> Result<()> {
        let device = self.wishes.pool.device.clone();
        run("mkswap", &[&device])?;
        self.wishes.pool = Pool {
            device,
            services: vec![4420],
            thin_mib: None,
            deleted: false,
            ..self.wishes.pool.clone()
        };
        self.stage("a pool over a disk that holds a signature")?;
        self.wishes.pool.thin_mib = Some(128);
        self.stage("a thin pool")?;

        let mut names = Vec::new();
        for (thin, several) in [(false, false), (true, false), (false, false), (false, true)] {
            let volume = self.wishes.make(thin, several);
            names.push(volume.name.clone());
            self.wishes.volumes.insert(volume.name.clone(), volume);
        }
        let [linear, thin, third, several] =
            [0, 1, 2, 3].map(|number: usize| names[number].clone());
        self.attach(&third, &[NODE]);
        self.stage("a linear volume, a thin one, one for local use, one for several hosts")?;
        self.attach(&linear, &[REMOTE[0]]);
        self.attach(&thin, &[REMOTE[1]]);
        self.attach(&several, &REMOTE);
        self.stage("three volumes are exported, one of them to two hosts")?;
        self.use_volumes()?;
        self.attach(&linear, &[REMOTE[1]]);
        self.attach(&thin, &[NODE]);
        self.attach(&third, &[REMOTE[0]]);
        self.attach(&several, &[REMOTE[1], NODE]);
        self.stage("all go elsewhere; one of two hosts is cut off")?;
        self.use_volumes()?;
        self.attach(&thin, &[]);
        self.attach(&third, &[]);
        self.attach(&several, &[REMOTE[1]]);
        self.stage("three are taken back")?;

        self.behind_its_back(&third)?;
        self.stage("the group's tag and a device vanished")?;
        fs::remove_dir_all(&self.agent.record)?;
        fs::create_dir(&self.agent.record)?;
        for volume in self.wishes.volumes.values_mut() {
            volume.unrecorded = true;
        }
        self.stage("the record vanished; all is claimed again")?;
        self.wishes.pool.services = vec![4421];
        self.stage("the portal moves")?;
        self.somebodys_lv()?;
        self.stage("an LV of somebody's becomes a volume")?;

        self.stop_zeroing()?;
        for volume in self.wishes.volumes.values_mut() {
            data::disconnect(volume)?;
            volume.deleted = true;
        }
        self.stage("every volume is deleted")?;
        self.wishes.forget_deleted()?;
        self.wishes.pool.deleted = true;
        self.stage("the pool is given up")?;
        run(
            "vgremove",
            &[
                "--devices",
                &self.wishes.pool.device,
                "-ff",
                "-y",
                Pool::GROUP,
            ],
        )?;
        run(
            "pvremove",
            &[
                "--devices",
                &self.wishes.pool.device,
                "-y",
                &self.wishes.pool.device,
            ],
        )
        .map(drop)
    }

    fn attach(&mut self, name: &str, nodes: &[&str]) {
        if let Some(volume) = self.wishes.volumes.get_mut(name) {
            volume.attach(nodes);
        }
    }

    /// What somebody else might do to a group while no agent runs.
    fn behind_its_back(&self, name: &str) -> Result<()> {
        let device = self.wishes.pool.device.as_str();
        let tag = format!("weir.pool={}", Pool::NAME);
        run(
            "vgchange",
            &["--devices", device, "--deltag", &tag, Pool::GROUP],
        )?;
        let lv = format!("{}/{}", Pool::GROUP, self.wishes.volumes[name].lv());
        run("lvchange", &["--devices", device, "-an", &lv]).map(drop)
    }

    /// Asks for a volume that an LV is to become which somebody made and wrote to.
    fn somebodys_lv(&mut self) -> Result<()> {
        let lv = "theirs";
        let mut volume = self.wishes.make(false, false);
        let (device, size) = (&self.wishes.pool.device, format!("{}M", volume.mib));
        run(
            "lvcreate",
            &[
                "--devices",
                device,
                "-y",
                "-Wn",
                "-n",
                lv,
                "-L",
                &size,
                Pool::GROUP,
            ],
        )?;
        self.value += 1;
        let theirs = PathBuf::from(format!("/dev/mapper/{}-{lv}", Pool::GROUP));
        data::write(&theirs, &volume.id, volume.mib, self.value)?;
        volume.written = Some(self.value);
        volume.source = Some(lv.to_owned());
        self.wishes.volumes.insert(volume.name.clone(), volume);
        Ok(())
    }

    /// A deletion that meets a running zeroing.
    fn stop_zeroing(&mut self) -> Result<()> {
        let mut volume = self.wishes.make(false, false);
        volume.mib = 1024;
        let name = volume.name.clone();
        self.wishes.volumes.insert(name.clone(), volume);
        self.delay(500)?;
        self.wishes.ask()?;
        self.agent.start()?;
        // The volume never comes about: its zeroing takes 16 pieces of half a second each.
        let deadline = Instant::now() + PATIENCE;
        while !self.agent.says_of(&name).contains("\"reason\":\"Zeroing\"") {
            ensure!(Instant::now() < deadline, "{}", self.agent.last_words());
            if self.agent.wait(&self.wishes, Duration::ZERO)? == Waited::Ended {
                self.look_at_ended()?;
                self.agent.start()?;
            }
        }
        if let Some(volume) = self.wishes.volumes.get_mut(&name) {
            volume.deleted = true;
        }
        self.wishes.ask()?;
        let done = self.come_true("a deletion meets a running zeroing");
        self.delay(0)?;
        done
    }

    /// Slows writes down by so many milliseconds.
    fn delay(&self, write: u32) -> Result<()> {
        let real = &self.slow;
        let sectors = run("blockdev", &["--getsz", real])?;
        let table = format!("0 {} delay {real} 0 0 {real} 0 {write}", sectors.trim());
        if run("dmsetup", &["info", "slow"]).is_err() {
            run("modprobe", &["dm-delay"])?;
            run("dmsetup", &["create", "slow", "--table", &table])?;
            return run("dmsetup", &["mknodes"]).map(drop);
        }
        run("dmsetup", &["suspend", "slow"])?;
        run("dmsetup", &["load", "slow", "--table", &table])?;
        run("dmsetup", &["resume", "slow"]).map(drop)
    }

    /// Asks for what is wanted now, and has it come true.
    fn stage(&mut self, name: &str) -> Result<()> {
        self.wishes.ask()?;
        self.agent.start()?;
        self.come_true(name)
    }

    fn come_true(&mut self, name: &str) -> Result<()> {
        let before = self.ends;
        while self.agent.wait_long(&self.wishes)? == Waited::Ended {
            self.look_at_ended()?;
            self.agent.start()?;
        }
        let node = self.node()?;
        for volume in self.wishes.volumes.values_mut() {
            volume.unrecorded = false;
        }
        check::converged(&node, &self.wishes, &self.foreign)?;
        self.agent.kill()?;
        data::check_all(&mut self.wishes, &node)?;
        say(format!("{name}: {} ends", self.ends - before));
        Ok(())
    }

    fn look_at_ended(&mut self) -> Result<()> {
        self.ends += 1;
        let text = fs::read_to_string(&self.points)?;
        let last = text.lines().last().unwrap_or_default();
        say(format!("  ended at {last}"));
        // A command that goes on alone meets the next agent; there is nothing to look at yet.
        if last.ends_with("command started") {
            return Ok(());
        }
        check::at_any_time(&self.node()?, &self.wishes)
    }

    fn node(&self) -> Result<Node> {
        Node::read(&self.agent.record, &self.wishes.pool.device)
    }

    fn use_volumes(&mut self) -> Result<()> {
        let names: Vec<String> = self.wishes.volumes.keys().cloned().collect();
        for name in names {
            self.value += 1;
            data::use_volume(&mut self.wishes, &name, self.value)?;
        }
        Ok(())
    }

    fn all_kinds_were_hit(&self, new: &str) -> Result<()> {
        let points = fs::read_to_string(&self.points)?;
        let kinds = run("weir-agent", &["fail-points"])?;
        let words: BTreeSet<&str> = points.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let missed: Vec<&str> = kinds.lines().filter(|kind| !words.contains(kind)).collect();
        ensure!(
            missed.is_empty(),
            "no fail point of these was met: {missed:?}"
        );
        say(format!(
            "{} of {} fail points (in each life: {new}), {} kinds of subjects and steps",
            self.ends,
            points.lines().count(),
            kinds.lines().count()
        ));
        Ok(())
    }
}
