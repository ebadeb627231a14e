//! A pool as it truly is.

use std::time::Duration;

use fastrand::Rng;

use crate::distribution::Later;
use crate::draw::{Stream, exponent, stream};
use crate::queue::{Demand, Flow, Work, flow};
use crate::report::Expected;
use crate::scenario::{Disk, Limp, Scenario};

/// A pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) disk: Disk,
    pub(crate) limps: Option<Limp>,
    pub(crate) is_limping: bool,
    pub(crate) is_collecting: bool,
    /// How fast it is just now, where speeds wander.
    pub(crate) wandered: f64,
    /// Who does I/O, and what each wants to do just now.
    pub(crate) active: Vec<(usize, Demand)>,
    /// Bytes of volumes that are bound to it.
    pub(crate) used: u64,
    /// How many volumes are bound to it.
    pub(crate) volumes: u32,
    /// How many ever were, not counting those of the beginning.
    pub(crate) bound: u32,
    /// Until when everything was accounted for.
    pub(crate) since: Duration,
    /// How it is while it does not collect garbage, and while it does; `None`: to be computed.
    states: [Option<Box<State>>; 2],
    /// Writes until it collects garbage.
    pub(crate) writes_left: f64,
    /// Load changes are counted, so that what was foreseen before one is known not to hold.
    pub(crate) stamp: u32,
    pub(crate) rng: Rng,
}

/// How a pool is under one load.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) flow: Flow,
    pub(crate) reads: Later,
    pub(crate) writes: Later,
    /// What each that is active does.
    pub(crate) rates: Vec<f64>,
    /// What agents are expected to tell of it, once that was computed.
    pub(crate) expected: Option<Box<Expected>>,
}

impl State {
    pub(crate) fn of(
        disk: &Disk,
        times: f64,
        demands: impl Iterator<Item = Demand> + Clone,
    ) -> Self {
        let flow = flow(disk, times, demands.clone());
        let work = Work::of(disk, times);
        let response = |median: Duration| flow.response(disk, times, median.as_secs_f64());
        State {
            reads: Later::of(response(disk.read)),
            writes: Later::of(response(disk.write)),
            rates: demands
                .map(|demand| demand.rate_at(&work, flow.wait))
                .collect(),
            flow,
            expected: None,
        }
    }
}

/// Every pool of a scenario, as it is at the beginning.
pub(crate) fn all(scenario: &Scenario, seed: u64) -> Vec<Pool> {
    let mut kinds = Vec::new();
    let (mut share, mut upto) = (0.0, 0);
    for (part, kind) in scenario.kinds {
        share += part;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of pools"
        )]
        let next = ((share * scenario.pools as f64).round() as usize).min(scenario.pools);
        kinds.extend(std::iter::repeat_n(*kind, next - upto));
        upto = next;
    }
    // Which is which must not be told by the order.
    stream(seed, Stream::Kinds, 0).shuffle(&mut kinds);
    let pool = |(index, kind): (usize, crate::scenario::Kind)| {
        let mut rng = stream(seed, Stream::Collects, index);
        Pool {
            disk: kind.disk,
            limps: kind.limps,
            is_limping: false,
            is_collecting: false,
            wandered: 1.0,
            active: Vec::new(),
            used: 0,
            volumes: 0,
            bound: 0,
            since: Duration::ZERO,
            states: [None, None],
            writes_left: kind.disk.collects.every_writes * exponent(&mut rng),
            stamp: 0,
            rng,
        }
    };
    kinds.into_iter().enumerate().map(pool).collect()
}

impl Pool {
    /// Everything takes so many times as long, while garbage is collected or not.
    pub(crate) fn times(&self, is_collecting: bool) -> f64 {
        let limp = match self.limps {
            Some(limp) if self.is_limping => limp.times,
            _ => 1.0,
        };
        let collects = if is_collecting {
            self.disk.collects.times
        } else {
            1.0
        };
        limp * collects * self.wandered
    }

    /// How it is, while garbage is collected or not.
    fn state_if(&mut self, is_collecting: bool) -> &mut State {
        let times = self.times(is_collecting);
        let demands = self.active.iter().map(|(_, demand)| *demand);
        let disk = &self.disk;
        self.states[usize::from(is_collecting)]
            .get_or_insert_with(|| Box::new(State::of(disk, times, demands)))
    }

    /// How it is.
    pub(crate) fn state(&mut self) -> &State {
        self.state_mut()
    }

    /// The same, for who remembers something with it.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.state_if(self.is_collecting)
    }

    /// How it is, to be put back as long as nothing changes.
    pub(crate) fn take_state(&mut self) -> Box<State> {
        self.state();
        let there = self.states[usize::from(self.is_collecting)].take();
        there.unwrap_or_default()
    }

    pub(crate) fn put_back(&mut self, state: Box<State>) {
        self.states[usize::from(self.is_collecting)] = Some(state);
    }

    /// Something about it is not as it was: what was foreseen does not hold any more.
    pub(crate) fn change(&mut self) {
        self.states = [None, None];
        self.stamp = self.stamp.wrapping_add(1);
    }

    /// Free bytes.
    pub(crate) fn free(&self) -> u64 {
        self.disk.capacity.saturating_sub(self.used)
    }

    /// When it will collect garbage, if its load stays as it is.
    pub(crate) fn collects_in(&mut self) -> Option<Duration> {
        let writes = self.state_if(false).flow.rates.1;
        (writes > 0.01)
            .then(|| Duration::from_secs_f64((self.writes_left / writes).clamp(0.0, 1e7)))
    }
}
