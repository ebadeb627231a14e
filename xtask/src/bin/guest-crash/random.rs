//! Random orders and kills at random moments.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::agent::{Agent, NODE, Waited};
use crate::node::{Node, dm_devices};
use crate::wishes::{REMOTE, Wishes};
use crate::{check, data, say};

pub(crate) struct Random {
    agent: Agent,
    wishes: Wishes,
    /// Device-mapper devices that were there before.
    foreign: BTreeSet<String>,
    dice: fastrand::Rng,
    kills: u32,
    orders: u32,
    value: u64,
}

/// As many volumes as are kept at once.
const MOST_VOLUMES: usize = 6;

/// The longest time before a kill. Most rounds of an emulated agent end within it.
const LONGEST_LIFE: u64 = 1500;

/// As many kills as may come in a row, those of a recovering agent among them.
const MOST_KILLS: u32 = 8;

impl Random {
    pub(crate) fn new(agent: Agent, wishes: Wishes, seed: u64) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        Random {
            agent,
            wishes,
            foreign: BTreeSet::new(),
            dice,
            kills: 0,
            orders: 0,
            value: 0,
        }
    }

    pub(crate) fn run(&mut self, kills: u32) -> Result<()> {
        self.foreign = dm_devices()?;
        self.wishes.ask()?;
        self.agent.start()?;
        self.come_true()?;
        while self.kills < kills {
            let told = format!("after {} kills", self.kills);
            self.one_burst(kills).with_context(|| told)?;
            say(format!("{} kills, {} orders", self.kills, self.orders));
        }
        for volume in self.wishes.volumes.values_mut() {
            data::disconnect(volume)?;
            volume.deleted = true;
        }
        self.wishes.ask()?;
        self.agent.kill()?;
        self.agent.start()?;
        self.come_true().context("all is deleted")?;
        say(format!(
            "{} kills, {} orders, all checked",
            self.kills, self.orders
        ));
        Ok(())
    }

    /// Some orders, some kills, and then it comes true.
    fn one_burst(&mut self, kills: u32) -> Result<()> {
        self.wishes.forget_deleted()?;
        for _ in 0..self.dice.u32(1..=3) {
            self.order()?;
        }
        self.wishes.ask()?;
        for _ in 0..self.dice.u32(1..=MOST_KILLS).min(kills - self.kills) {
            let life = Duration::from_millis(self.dice.u64(0..LONGEST_LIFE));
            std::thread::sleep(life);
            self.agent.kill()?;
            self.kills += 1;
            // Half of the time a command that goes on alone meets the next agent.
            if self.dice.bool() {
                check::at_any_time(&self.node()?, &self.wishes)?;
            }
            self.agent.start()?;
        }
        self.come_true()
    }

    fn come_true(&mut self) -> Result<()> {
        anyhow::ensure!(
            self.agent.wait_long(&self.wishes)? == Waited::Converged,
            "somebody else killed the agent"
        );
        let node = self.node()?;
        check::converged(&node, &self.wishes, &self.foreign)
            .with_context(|| self.agent.last_words())?;
        data::check_all(&mut self.wishes, &node)?;
        // One of them is used by whoever it is attached to.
        let names: Vec<String> = self
            .wishes
            .volumes
            .values()
            .filter(|volume| !volume.deleted && !volume.attached.is_empty())
            .map(|volume| volume.name.clone())
            .collect();
        if let Some(name) = self.dice.choice(&names) {
            self.value += 1;
            data::use_volume(&mut self.wishes, name, self.value)?;
        }
        Ok(())
    }

    fn order(&mut self) -> Result<()> {
        self.orders += 1;
        let alive: Vec<String> = self
            .wishes
            .volumes
            .values()
            .filter(|volume| !volume.deleted)
            .map(|volume| volume.name.clone())
            .collect();
        let mut nodes = vec![NODE, REMOTE[0], REMOTE[1]];
        self.dice.shuffle(&mut nodes);
        let name = match self.dice.choice(&alive) {
            Some(name) if alive.len() >= MOST_VOLUMES || self.dice.u32(0..3) > 0 => name,
            _ => {
                let several = self.dice.u32(0..4) == 0;
                let mut volume = self.wishes.make(self.dice.bool(), several);
                let most = if several { 3 } else { 1 };
                nodes.truncate(self.dice.usize(0..=most));
                volume.attach(&nodes);
                self.wishes.volumes.insert(volume.name.clone(), volume);
                return Ok(());
            }
        };
        let volume = self
            .wishes
            .volumes
            .get_mut(name)
            .context("no such volume")?;
        // A consumer that was cut off goes on trying: it must never get back in.
        if self.dice.bool() {
            data::disconnect(volume)?;
        }
        if alive.len() > 2 && self.dice.u32(0..4) == 0 {
            data::disconnect(volume)?;
            volume.deleted = true;
        } else {
            let most = if volume.several { 3 } else { 1 };
            nodes.truncate(self.dice.usize(0..=most));
            volume.attach(&nodes);
        }
        Ok(())
    }

    fn node(&self) -> Result<Node> {
        Node::read(&self.agent.record, &self.wishes.pool.device)
    }
}
