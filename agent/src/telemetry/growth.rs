//! What was added between two snapshots: a function of data.
//!
//! Counters outlive the agent, so what is seen for the first time is the ground to count from, and has added nothing: a
//! predecessor may have told it. From a volume that was seen before, an operation that is new has begun at nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use weir_api::names::{NodeName, ObjectName, VolumeId};
use weir_telemetry::{Delta, InFlight, Key, Op, Reading, Rung, Subject};

use crate::histogram::Histogram;
use crate::ladder::{self, BackendFigures};
use crate::probe::{
    ImportFigures, InitiatorFigures, OpFigures, Snapshot, Stage, Tally, VolumeFigures,
};

/// Counters as they were last read.
#[derive(Default)]
pub(crate) struct Growth {
    last: Option<Counters>,
}

struct Counters {
    at: Instant,
    backends: HashMap<VolumeId, Backend>,
    ends: HashMap<Subject, BTreeMap<Op, Tally>>,
}

/// A volume's `backend`.
struct Backend {
    pool: ObjectName,
    /// For each operation that there was.
    ops: BTreeMap<Op, Histogram>,
    /// The same where there are no histograms.
    sums: BTreeMap<Op, Tally>,
    in_flight: BTreeMap<Op, u64>,
}

impl Growth {
    /// What was added since the last snapshot. `None`: nothing could be read, and the next one counts from where this would have.
    pub(crate) fn since_last(&mut self, snapshot: Snapshot, at: Instant) -> Option<Reading> {
        if snapshot.off.iter().any(|off| off.stage == "all") {
            return None;
        }
        let rung = match snapshot.rung {
            ladder::Rung::Ebpf => Rung::Ebpf,
            ladder::Rung::DmStatistics => Rung::DmStatistics,
            ladder::Rung::Diskstats => Rung::Diskstats,
        };
        let now = Counters::of(snapshot, at);
        let since = self.last.as_ref().map_or(at, |last| last.at);
        let mut added = Vec::new();
        if let Some(last) = &self.last {
            added.extend(now.pools_since(last));
            added.extend(now.ends_since(last));
        }
        let in_flight = now.in_flight();
        self.last = Some(now);
        Some(Reading {
            since,
            at,
            rung,
            added,
            in_flight,
        })
    }
}

impl Counters {
    fn of(snapshot: Snapshot, at: Instant) -> Self {
        let ids: HashMap<_, _> = snapshot
            .volumes
            .iter()
            .map(|volume| (volume.name.clone(), volume.id))
            .collect();
        let measured = snapshot.volumes.into_iter().map(Backend::of_volume);
        let below = snapshot.backends.into_iter().map(Backend::of_figures);
        // An initiator is one of a volume that is measured.
        let targets = snapshot.initiators.into_iter();
        let targets = targets.filter_map(|end| target(&ids, end));
        let hosts = snapshot.imports.into_iter().map(host);
        Counters {
            at,
            backends: measured.chain(below).collect(),
            ends: targets.chain(hosts).collect(),
        }
    }

    fn pools_since(&self, last: &Counters) -> impl Iterator<Item = (Key, Delta)> + use<> {
        let mut histograms: BTreeMap<(ObjectName, Op), Histogram> = BTreeMap::new();
        let mut sums: BTreeMap<(ObjectName, Op), Tally> = BTreeMap::new();
        for (id, now) in &self.backends {
            let Some(then) = last.backends.get(id) else {
                continue;
            };
            for (op, histogram) in &now.ops {
                let grown = match then.ops.get(op) {
                    Some(earlier) => histogram.since(earlier),
                    None => histogram.clone(),
                };
                let pool = histograms.entry((now.pool.clone(), *op));
                pool.or_default().merge(&grown);
            }
            for (op, sum) in &now.sums {
                let grown = since(*sum, then.sums.get(op).copied().unwrap_or_default());
                let pool = sums.entry((now.pool.clone(), *op)).or_default();
                pool.count += grown.count;
                pool.sum_ns = pool.sum_ns.wrapping_add(grown.sum_ns);
            }
        }
        let histograms = histograms.into_iter().map(|(of, histogram)| {
            let buckets = histogram.counts();
            (
                of,
                Delta::of_buckets(buckets, histogram.unbucketed(), histogram.sum_ns()),
            )
        });
        let sums = sums.into_iter();
        let sums = sums.map(|(of, sum)| (of, Delta::of_sum(sum.count, sum.sum_ns)));
        let all: Vec<_> = histograms.chain(sums).collect();
        all.into_iter().map(|((pool, op), delta)| {
            let subject = Subject::Pool(pool);
            (Key { subject, op }, delta)
        })
    }

    fn ends_since<'a>(&'a self, last: &'a Counters) -> impl Iterator<Item = (Key, Delta)> + 'a {
        let ends = self.ends.iter();
        let known = ends.filter_map(|(end, now)| Some((end, now, last.ends.get(end)?)));
        known.flat_map(|(end, now, then)| {
            now.iter().map(move |(op, sum)| {
                let grown = since(*sum, then.get(op).copied().unwrap_or_default());
                let key = Key {
                    subject: end.clone(),
                    op: *op,
                };
                (key, Delta::of_sum(grown.count, grown.sum_ns))
            })
        })
    }

    fn in_flight(&self) -> Vec<InFlight> {
        let mut pools: BTreeMap<(&ObjectName, Op), u64> = BTreeMap::new();
        for backend in self.backends.values() {
            for (op, now) in backend.in_flight.iter().filter(|(_, now)| **now > 0) {
                *pools.entry((&backend.pool, *op)).or_default() += now;
            }
        }
        let pools = pools.into_iter();
        pools
            .map(|((pool, op), now)| InFlight {
                pool: pool.clone(),
                op,
                now,
            })
            .collect()
    }
}

impl Backend {
    fn of_volume(volume: VolumeFigures) -> (VolumeId, Self) {
        let mut backend = Backend::of_pool(volume.pool);
        for op in volume.ops {
            let kind = Op::from(op.op);
            backend.in_flight.insert(kind, op.in_flight);
            let stages = op.stages.into_iter();
            let mut found = stages.filter(|(stage, _)| *stage == Stage::Backend);
            if let Some((_, histogram)) = found.next() {
                backend.ops.insert(kind, histogram);
            }
        }
        (volume.id, backend)
    }

    /// Where operations have no histogram of their own, one of all is worth more than sums of each.
    fn of_figures(figures: BackendFigures) -> (VolumeId, Self) {
        let mut backend = Backend::of_pool(figures.pool);
        backend.in_flight.insert(Op::ReadWrite, figures.in_flight);
        match figures.together {
            Some(histogram) => {
                backend.ops.insert(Op::ReadWrite, histogram);
            }
            None => {
                let sums = figures.ops.into_iter();
                backend.sums = sums.map(|(op, sum)| (Op::from(op), sum)).collect();
            }
        }
        (figures.id, backend)
    }

    fn of_pool(pool: ObjectName) -> Self {
        Backend {
            pool,
            ops: BTreeMap::new(),
            sums: BTreeMap::new(),
            in_flight: BTreeMap::new(),
        }
    }
}

fn target(
    ids: &HashMap<ObjectName, VolumeId>,
    end: InitiatorFigures,
) -> Option<(Subject, BTreeMap<Op, Tally>)> {
    let InitiatorFigures {
        volume,
        initiator,
        ops,
    } = end;
    let volume = *ids.get(&volume)?;
    let host: NodeName = initiator;
    let sums = ops.iter().map(|(op, total)| (Op::from(*op), tally(total)));
    Some((Subject::Target { volume, host }, sums.collect()))
}

fn host(import: ImportFigures) -> (Subject, BTreeMap<Op, Tally>) {
    let total = |op: &OpFigures| Some((Op::from(op.op), tally(op.stage(Stage::Total)?)));
    let sums = import.ops.iter().filter_map(total);
    (Subject::Host(import.id), sums.collect())
}

fn tally(histogram: &Histogram) -> Tally {
    Tally {
        count: histogram.count(),
        sum_ns: histogram.sum_ns(),
    }
}

/// What was added to a sum; all of it if it was begun anew.
fn since(now: Tally, then: Tally) -> Tally {
    match now.count.checked_sub(then.count) {
        Some(count) => Tally {
            count,
            sum_ns: now.sum_ns.wrapping_sub(then.sum_ns),
        },
        None => now,
    }
}

#[cfg(test)]
mod tests;
