//! The cluster as it truly is, while time passes.

use std::time::Duration;

use fastrand::Rng;

use crate::draw::{Stream, exponent, exponential, normal, stream};
use crate::event::{Event, Events};
use crate::measure::{Blame, Measured, Moment, Seen, mean};
use crate::pool::{self, Pool};
use crate::queue::Demand;
use crate::report::{Gathered, Report};
use crate::scenario::{Scenario, WINDOW};
use crate::strategy::Hears;
use crate::tenant::{self, Tenant};

/// The cluster.
pub(crate) struct World {
    pub(crate) scenario: &'static Scenario,
    pub(crate) pools: Vec<Pool>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) lives: Vec<Life>,
    pub(crate) events: Events,
    gathered: Vec<Gathered>,
    reports: Rng,
    losses: Rng,
    wanders: Vec<Rng>,
    /// Volumes that wait for a pool, the longest first.
    pub(crate) waiting: Vec<usize>,
    pub(crate) measured: Measured,
    /// How long a read takes on the quickest of the disks.
    quickest: Duration,
}

/// What became of a tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) pool: Option<usize>,
    /// Whether that limped when this was bound to it.
    pub(crate) came_to_limping: bool,
    pub(crate) is_active: bool,
    pub(crate) is_bursting: bool,
    pub(crate) is_over: bool,
    pub(crate) seen: Option<Seen>,
}

impl World {
    pub(crate) fn new(scenario: &'static Scenario, seed: u64, hears: Hears) -> Self {
        let pools = pool::all(scenario, seed);
        let capacity = pools.iter().map(|pool| pool.disk.capacity).sum();
        let tenants = tenant::all(scenario, seed, capacity);
        let mut events = Events::default();
        for (index, pool) in pools.iter().enumerate() {
            if pool.limps.is_some() {
                let at = stream(seed, Stream::Limp, index).f64();
                events.put(scenario.length.mul_f64(at), Event::Limp(index));
            }
            if scenario.wander.is_some() {
                events.put(Duration::ZERO, Event::Wander(index));
            }
        }
        for (index, tenant) in tenants.iter().enumerate() {
            events.put(tenant.created, Event::Create(index));
        }
        events.put(WINDOW, Event::Window);
        if hears != Hears::Nothing {
            events.put(scenario.telemetry.every, Event::Report);
        }
        let count = pools.len();
        let quickest = pools.iter().map(|pool| pool.disk.read).min();
        World {
            scenario,
            quickest: quickest.unwrap_or_default(),
            gathered: match hears {
                Hears::Reports => (0..count).map(|_| Gathered::new()).collect(),
                Hears::Nothing | Hears::InFlight => Vec::new(),
            },
            lives: vec![Life::default(); tenants.len()],
            reports: stream(seed, Stream::Reports, 0),
            losses: stream(seed, Stream::Loss, 0),
            wanders: (0..count)
                .map(|index| stream(seed, Stream::Wander, index))
                .collect(),
            pools,
            tenants,
            events,
            waiting: Vec::new(),
            measured: Measured::default(),
        }
    }

    /// Accounts for what happened on a pool until now.
    pub(crate) fn settle(&mut self, index: usize, now: Duration) {
        let pool = &mut self.pools[index];
        let seconds = now.saturating_sub(pool.since).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        pool.since = now;
        let state = pool.take_state();
        for ((member, demand), rate) in pool.active.iter().zip(&state.rates) {
            if let Some(seen) = &mut self.lives[*member].seen {
                let reads = rate * demand.reads * seconds;
                let counts = (reads, rate * seconds - reads);
                seen.add((&*state.reads, &*state.writes), counts);
            }
        }
        if !pool.is_collecting {
            let writes = state.flow.rates.1 * seconds;
            pool.writes_left = (pool.writes_left - writes).max(0.0);
        }
        pool.put_back(state);
    }

    /// Changes something about a pool.
    pub(crate) fn change(&mut self, index: usize, now: Duration, change: impl FnOnce(&mut Pool)) {
        self.settle(index, now);
        let pool = &mut self.pools[index];
        if let Some(gathered) = self.gathered.get_mut(index) {
            gathered.settle(pool, now);
        }
        change(pool);
        pool.change();
        self.foresee(index, now);
    }

    /// When a pool will collect garbage, if nothing changes before.
    fn foresee(&mut self, index: usize, now: Duration) {
        let pool = &mut self.pools[index];
        if pool.is_collecting {
            return;
        }
        let stamp = pool.stamp;
        if let Some(wait) = pool.collects_in() {
            self.events
                .put(now + wait, Event::Collect { pool: index, stamp });
        }
    }

    /// A volume is bound to a pool.
    pub(crate) fn bind(&mut self, index: usize, pool: usize, now: Duration) {
        let tenant = &self.tenants[index];
        let there = &mut self.pools[pool];
        there.used += tenant.size;
        there.volumes += 1;
        there.bound += u32::from(!tenant.is_existing);
        let life = &mut self.lives[index];
        life.pool = Some(pool);
        life.came_to_limping = there.is_limping;
        if !tenant.is_existing {
            life.seen = Some(Seen::new());
        }
        self.events.put(now + tenant.start, Event::Start(index));
    }

    /// What a tenant wants to do just now.
    fn demand(&self, index: usize) -> Demand {
        let tenant = &self.tenants[index];
        match tenant.burst {
            Some(burst) if self.lives[index].is_bursting => burst,
            _ => tenant.calm,
        }
    }

    /// A tenant begins.
    pub(crate) fn start(&mut self, index: usize, now: Duration) {
        let life = &mut self.lives[index];
        let (Some(pool), false) = (life.pool, life.is_over) else {
            return;
        };
        life.is_active = true;
        let demand = self.demand(index);
        self.change(pool, now, |pool| pool.active.push((index, demand)));
        if self.tenants[index].burst.is_some() {
            let calm = exponential(&mut self.tenants[index].rng, self.scenario.tenants.calm);
            self.events.put(now + calm, Event::Burst(index));
        }
    }

    /// A tenant's burst begins or ends.
    pub(crate) fn burst(&mut self, index: usize, now: Duration) {
        let life = &mut self.lives[index];
        let (Some(pool), false) = (life.pool, life.is_over) else {
            return;
        };
        life.is_bursting = !life.is_bursting;
        let tenants = &self.scenario.tenants;
        let mean = if life.is_bursting {
            tenants.burst
        } else {
            tenants.calm
        };
        let demand = self.demand(index);
        self.change(pool, now, |pool| {
            for (_, wants) in pool
                .active
                .iter_mut()
                .filter(|(member, _)| *member == index)
            {
                *wants = demand;
            }
        });
        let lasts = exponential(&mut self.tenants[index].rng, mean);
        self.events.put(now + lasts, Event::Burst(index));
    }

    /// A volume is deleted; returns where it was.
    pub(crate) fn end(&mut self, index: usize, now: Duration) -> Option<usize> {
        let life = &mut self.lives[index];
        life.is_over = true;
        life.is_active = false;
        self.waiting.retain(|waiting| *waiting != index);
        let pool = life.pool?;
        let size = self.tenants[index].size;
        self.change(pool, now, |pool| {
            pool.active.retain(|(member, _)| *member != index);
            pool.used -= size;
            pool.volumes -= 1;
        });
        self.close(index);
        Some(pool)
    }

    /// A pool begins to limp, or is well again.
    pub(crate) fn limp(&mut self, index: usize, now: Duration) {
        self.change(index, now, |pool| pool.is_limping = !pool.is_limping);
        let pool = &self.pools[index];
        let lasts = pool.limps.and_then(|limp| limp.lasts);
        if let Some(lasts) = lasts.filter(|_| pool.is_limping) {
            self.events.put(now + lasts, Event::Limp(index));
        }
    }

    /// A pool's speed is another from now on.
    pub(crate) fn wander(&mut self, index: usize, now: Duration) {
        let Some((lasts, spread)) = self.scenario.wander else {
            return;
        };
        let rng = &mut self.wanders[index];
        let wandered = (spread * normal(rng)).exp();
        let lasts = exponential(rng, lasts);
        self.change(index, now, |pool| pool.wandered = wandered);
        self.events.put(now + lasts, Event::Wander(index));
    }

    /// A pool collects garbage, if its load is as it was when that was foreseen.
    pub(crate) fn collect(&mut self, index: usize, stamp: u32, now: Duration) {
        let pool = &self.pools[index];
        if pool.stamp != stamp || pool.is_collecting {
            return;
        }
        self.toggle_collecting(index, now);
        let pool = &mut self.pools[index];
        let lasts = exponential(&mut pool.rng, pool.disk.collects.lasts);
        self.events.put(now + lasts, Event::Collected(index));
    }

    /// It is done.
    pub(crate) fn collected(&mut self, index: usize, now: Duration) {
        self.toggle_collecting(index, now);
        let pool = &mut self.pools[index];
        pool.writes_left = pool.disk.collects.every_writes * exponent(&mut pool.rng);
        self.foresee(index, now);
    }

    /// The load stays: both states of it are known, once they were computed.
    fn toggle_collecting(&mut self, index: usize, now: Duration) {
        self.settle(index, now);
        let pool = &mut self.pools[index];
        if let Some(gathered) = self.gathered.get_mut(index) {
            gathered.settle(pool, now);
        }
        pool.is_collecting = !pool.is_collecting;
    }

    /// What agents tell now; each report that will be heard.
    pub(crate) fn report(&mut self, now: Duration) -> Vec<Report> {
        let telemetry = self.scenario.telemetry;
        self.events.put(now + telemetry.every, Event::Report);
        let is_dark = telemetry.dark.is_some_and(|(from, to)| {
            let share = now.as_secs_f64() / self.scenario.length.as_secs_f64();
            (from..to).contains(&share)
        });
        let mut told = Vec::new();
        for (index, pool) in self.pools.iter_mut().enumerate() {
            let rng = &mut self.reports;
            let report = match self.gathered.get_mut(index) {
                Some(gathered) => gathered.report(index, pool, telemetry.every, now, rng),
                None => Report::of_in_flight(index, pool, telemetry.every, now, rng),
            };
            let is_lost = self.losses.f64() < telemetry.lost;
            if !is_lost && !is_dark {
                told.push(report);
            }
        }
        told
    }

    /// Ends a window.
    pub(crate) fn window(&mut self, now: Duration) {
        self.events.put(now + WINDOW, Event::Window);
        (0..self.pools.len()).for_each(|pool| self.settle(pool, now));
        let (mut p99s, mut over, mut windows) = (Vec::new(), 0, 0);
        for index in 0..self.lives.len() {
            if !self.lives[index].is_active {
                continue;
            }
            if let Some((p99, is_over)) = self.close(index) {
                p99s.push(p99 / 1e6);
                over += u64::from(is_over == Some(true));
                windows += u64::from(is_over.is_some());
            }
        }
        let waiting = self.waiting.iter();
        let waiting = waiting.filter(|index| self.tenants[**index].objective.is_some());
        let waiting = waiting.count() as u64;
        self.measured.windows_waited += waiting;
        self.measured.windows += waiting;
        self.measured.series.push(Moment {
            at: now,
            p99_ms: mean(&p99s),
            over: (over + waiting) as f64 / ((windows + waiting) as f64).max(1.0),
        });
    }

    /// Ends a tenant's window; its 99th percentile, and whether it is over its objective, if it has one.
    fn close(&mut self, index: usize) -> Option<(f64, Option<bool>)> {
        let window = self.lives[index].seen.as_mut()?.close();
        let p99 = window.all?;
        let is_over = self.tenants[index].objective.map(|objective| {
            let most = objective.as_secs_f64() * 1e9;
            window.reads.is_some_and(|p99| p99 > most)
                || window.writes.is_some_and(|p99| p99 > most)
        });
        self.measured.windows += u64::from(is_over.is_some());
        if is_over == Some(true) {
            self.measured.windows_over += 1;
            self.measured.over_by[self.blame(index) as usize] += 1;
        }
        Some((p99, is_over))
    }

    /// What the pool of a tenant is like, that is over its objective.
    fn blame(&self, index: usize) -> Blame {
        let life = &self.lives[index];
        let Some(pool) = life.pool.map(|pool| &self.pools[pool]) else {
            return Blame::Busy;
        };
        if pool.is_limping && life.came_to_limping {
            Blame::Limped
        } else if pool.is_limping {
            Blame::LimpedLater
        } else if pool.disk.read > self.quickest {
            Blame::SlowDisk
        } else {
            Blame::Busy
        }
    }

    /// What it came to.
    pub(crate) fn finish(mut self) -> Measured {
        let end = self.scenario.length;
        (0..self.pools.len()).for_each(|pool| self.settle(pool, end));
        for index in 0..self.lives.len() {
            self.close(index);
            let (life, tenant) = (&self.lives[index], &self.tenants[index]);
            if tenant.is_existing {
                continue;
            }
            self.measured.asked += 1;
            self.measured.unplaced += u64::from(life.pool.is_none());
            let p99 = life.seen.as_ref().and_then(Seen::p99);
            self.measured.p99_ms.extend(p99.map(|ns| ns / 1e6));
        }
        self.measured.bound = self.pools.iter().map(|pool| pool.bound).collect();
        self.measured
    }
}
