//! What happens next: drawn from a seed and from what came of everything before, and from nothing else.

use std::fmt;

/// At most so many volumes may be anywhere at once.
const VOLUMES: usize = 11;
/// At most so many parts are ill at once.
const ILL: usize = 3;
/// For how many steps a part is ill, at least and at most.
const STEPS: (u32, u32) = (2, 18);
/// How many volumes one step makes or deletes at most.
const BATCH: usize = 3;
/// Sizes, in MiB.
const SIZES: [u64; 3] = [8, 16, 32];

/// A process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Api,
    Controller(usize),
    Agent(usize),
}

/// What happens to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// SIGKILL; started again.
    Killed,
    /// SIGSTOP; SIGCONT.
    Paused,
    /// No packet gets from it to the API, and none back.
    CutOff,
}

/// A volume that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) number: usize,
    pub(super) mib: u64,
    /// The node whose pools it prefers.
    pub(super) prefers: Option<usize>,
    /// Whether it is exported.
    pub(super) is_attached: bool,
    pub(super) state: State,
}

/// How far a volume is, as a client of the API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is to be created; nobody knows whether it is.
    Asked,
    /// The API took it.
    There,
    /// Its deletion was asked for; nobody knows whether it is ordered.
    Doomed,
    /// The API took the order.
    Ordered,
    /// Nothing of it is anywhere.
    Gone,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Create(Vec<usize>),
    Delete(Vec<usize>),
    Strike(Part, Fault),
    Heal(Part, Fault),
    /// Compare what is on the nodes with what was ordered.
    Look,
    /// Wait so many milliseconds.
    Rest(u64),
}

/// Decides.
pub(super) struct Driver {
    random: fastrand::Rng,
    step: u32,
    ill: Vec<(Part, Fault, u32)>,
    volumes: Vec<Volume>,
}

pub(super) const PARTS: [Part; 5] = [
    Part::Api,
    Part::Controller(0),
    Part::Controller(1),
    Part::Agent(0),
    Part::Agent(1),
];

impl Driver {
    pub(super) fn new(seed: u64) -> Self {
        Driver {
            random: fastrand::Rng::with_seed(seed),
            step: 0,
            ill: Vec::new(),
            volumes: Vec::new(),
        }
    }

    /// Every volume that was ever asked for.
    pub(super) fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// A volume got so far. Nothing ever gets back.
    pub(super) fn reached(&mut self, number: usize, state: State) {
        let volume = &mut self.volumes[number];
        if state as u8 > volume.state as u8 {
            volume.state = state;
        }
    }

    /// The next step.
    pub(super) fn next(&mut self) -> Act {
        self.step += 1;
        let over = self
            .ill
            .iter()
            .position(|(_, _, until)| *until <= self.step);
        if let Some((part, fault, _)) = over.map(|index| self.ill.remove(index)) {
            return Act::Heal(part, fault);
        }
        match self.random.u32(..100) {
            0..30 => self.create(),
            30..48 => self.delete(),
            48..66 => self.strike(),
            66..86 => Act::Look,
            _ => self.rest(),
        }
    }

    /// What is still to be asked for until the API took all of it, once nothing is ill any more.
    pub(super) fn finish(&mut self) -> Option<Act> {
        if let Some((part, fault, _)) = self.ill.pop() {
            return Some(Act::Heal(part, fault));
        }
        let (asked, doomed) = (self.numbers(State::Asked), self.numbers(State::Doomed));
        match (asked.is_empty(), doomed.is_empty()) {
            (false, _) => Some(Act::Create(asked)),
            (true, false) => Some(Act::Delete(doomed)),
            (true, true) => None,
        }
    }

    /// Volumes, first those of which it is not known whether they were created.
    fn create(&mut self) -> Act {
        let mut batch = self.numbers(State::Asked);
        let there = self
            .volumes
            .iter()
            .filter(|volume| volume.state != State::Gone);
        let room = VOLUMES - there.count();
        for _ in 0..self.random.usize(1..=BATCH).min(room) {
            let volume = Volume {
                number: self.volumes.len(),
                mib: SIZES[self.random.usize(..SIZES.len())],
                // More for the one node than it takes: its agent rejects some.
                prefers: [Some(0), Some(0), Some(1), None][self.random.usize(..4)],
                is_attached: self.random.bool(),
                state: State::Asked,
            };
            batch.push(volume.number);
            self.volumes.push(volume);
        }
        if batch.is_empty() {
            return self.delete();
        }
        Act::Create(batch)
    }

    fn delete(&mut self) -> Act {
        let mut batch = self.numbers(State::Doomed);
        let mut there = self.numbers(State::There);
        self.random.shuffle(&mut there);
        there.truncate(self.random.usize(1..=BATCH));
        batch.extend(there);
        if batch.is_empty() {
            return self.rest();
        }
        for number in &batch {
            self.reached(*number, State::Doomed);
        }
        Act::Delete(batch)
    }

    fn strike(&mut self) -> Act {
        let is_well = |part: &Part| !self.ill.iter().any(|(ill, _, _)| ill == part);
        let well: Vec<Part> = PARTS.into_iter().filter(is_well).collect();
        if self.ill.len() >= ILL {
            return self.rest();
        }
        let part = well[self.random.usize(..well.len())];
        let faults = [Fault::Killed, Fault::Paused, Fault::CutOff];
        // The API can't be cut off from itself.
        let kinds = if part == Part::Api { 2 } else { 3 };
        let fault = faults[self.random.usize(..kinds)];
        let until = self.step + self.random.u32(STEPS.0..=STEPS.1);
        self.ill.push((part, fault, until));
        Act::Strike(part, fault)
    }

    fn rest(&mut self) -> Act {
        Act::Rest(self.random.u64(50..1500))
    }

    fn numbers(&self, state: State) -> Vec<usize> {
        let so = self.volumes.iter().filter(|volume| volume.state == state);
        so.map(|volume| volume.number).collect()
    }
}

impl Volume {
    pub(super) fn name(&self) -> String {
        format!("chaos-{}", self.number)
    }

    pub(super) fn id(&self) -> String {
        format!("c4a05000-52a8-4a6c-9f3e-{:012x}", self.number)
    }

    /// Whether somebody asked for its deletion.
    pub(super) fn is_doomed(&self) -> bool {
        matches!(self.state, State::Doomed | State::Ordered | State::Gone)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Api => f.write_str("api"),
            Part::Controller(number) => write!(f, "controller-{number}"),
            Part::Agent(number) => write!(f, "agent-{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Plays a cluster whose API answers everything, or every third thing.
    fn play(seed: u64, steps: usize, answers: usize) -> Vec<Act> {
        let mut driver = Driver::new(seed);
        let mut acts = Vec::new();
        for step in 0..steps {
            let act = driver.next();
            let is_answered = step % answers == 0;
            match &act {
                Act::Create(batch) if is_answered => {
                    for number in batch {
                        driver.reached(*number, State::There);
                    }
                }
                Act::Delete(batch) => {
                    let taken = if is_answered {
                        State::Gone
                    } else {
                        State::Doomed
                    };
                    for number in batch {
                        assert_ne!(driver.volumes[*number].state, State::Asked);
                        driver.reached(*number, taken);
                    }
                }
                _ => {}
            }
            let there = driver.volumes.iter().filter(|one| one.state != State::Gone);
            assert!(there.count() <= VOLUMES);
            assert!(driver.ill.len() <= ILL);
            acts.push(act);
        }
        acts
    }

    #[test]
    fn a_seed_repeats_and_another_one_differs() {
        assert_eq!(play(7, 500, 3), play(7, 500, 3));
        assert_ne!(play(7, 500, 3), play(8, 500, 3));
    }

    #[test]
    fn everything_happens_to_everyone_and_ends() {
        let (mut struck, mut ill) = (HashSet::new(), HashSet::new());
        for act in play(1, 5_000, 1) {
            match act {
                Act::Strike(part, fault) => {
                    assert!(ill.insert(part), "{part} is ill already");
                    struck.insert((part, fault));
                }
                Act::Heal(part, _) => assert!(ill.remove(&part), "{part} is well"),
                _ => {}
            }
        }
        assert_eq!(struck.len(), 3 * PARTS.len() - 1);
        assert!(!struck.contains(&(Part::Api, Fault::CutOff)));
    }

    #[test]
    fn at_the_end_all_are_well_and_all_was_taken() {
        let mut driver = Driver::new(3);
        for _ in 0..300 {
            driver.next();
        }
        let mut steps = 0;
        while let Some(act) = driver.finish() {
            match act {
                Act::Create(batch) => batch
                    .iter()
                    .for_each(|number| driver.reached(*number, State::There)),
                Act::Delete(batch) => batch
                    .iter()
                    .for_each(|number| driver.reached(*number, State::Ordered)),
                _ => {}
            }
            steps += 1;
            assert!(steps < 20);
        }
        assert!(driver.ill.is_empty());
    }
}
