//! What placement came to, and why.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use weir_api::names::ObjectName;
use weir_api::volume::{Candidate, Filtered, PlacementRecord};

use super::filter::Filter;

/// The largest placement record, as JSON.
pub(super) const LARGEST_RECORD: usize = 4096;

/// How many of the pools that a filter refused are named.
const MOST_EXAMPLES: usize = 3;

/// How many pools each filter refused, and a few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: [u32; Filter::ALL.len()],
    /// The first few by name, so that no order of the pools shows.
    examples: [Vec<ObjectName>; Filter::ALL.len()],
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Latency, among pools that were drawn.
    Latency,
    /// Free space: nothing is known of the latency of any pool that fits.
    Space,
}

/// What placement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Which of the pools, by its place among them.
    pub winner: Option<usize>,
    /// What decided.
    pub basis: Basis,
    /// The pools that were compared, or the best of them; the best first.
    pub candidates: Vec<Candidate>,
    /// How many pools no filter refused.
    pub fitting: usize,
    /// How many pools there are.
    pub of: usize,
    /// What the filters refused.
    pub tally: Tally,
    /// What it was decided with.
    pub seed: u64,
}

impl Tally {
    pub(super) fn count(&mut self, filter: Filter, pool: &ObjectName) {
        let index = filter.index();
        self.counts[index] = self.counts[index].saturating_add(1);
        let examples = &mut self.examples[index];
        let place = examples.partition_point(|known| known < pool);
        if place < MOST_EXAMPLES {
            examples.insert(place, pool.clone());
            examples.truncate(MOST_EXAMPLES);
        }
    }

    /// How many pools a filter refused.
    #[must_use]
    pub fn of(&self, filter: Filter) -> u32 {
        self.counts[filter.index()]
    }

    /// The filters that refused pools, the count of each, and a few of the pools.
    pub fn refusals(&self) -> impl Iterator<Item = (Filter, u32, &[ObjectName])> {
        let all = Filter::ALL.into_iter();
        let told = all.map(|filter| (filter, self.of(filter), &self.examples[filter.index()][..]));
        told.filter(|(_, count, _)| *count > 0)
    }
}

impl Placement {
    /// The pool that was chosen.
    #[must_use]
    pub fn pool(&self) -> Option<&ObjectName> {
        self.candidates.first().map(|first| &first.pool_name)
    }

    /// What is kept of it in the volume's status: at most 4 KiB, examples being left out where names are so long
    /// that it would be more.
    #[must_use]
    pub fn record(&self, decided_at: Option<Time>) -> PlacementRecord {
        let mut record = PlacementRecord {
            pool_name: self.pool().cloned(),
            decided_at,
            seed: Some(self.seed.cast_signed()),
            candidates: self.candidates.clone(),
            filtered: Vec::new(),
        };
        for most in (0..=MOST_EXAMPLES).rev() {
            let filtered = |(filter, count, examples): (Filter, u32, &[ObjectName])| Filtered {
                filter: filter.name().to_owned(),
                count,
                examples: examples.iter().take(most).cloned().collect(),
            };
            record.filtered = self.tally.refusals().map(filtered).collect();
            let size = serde_json::to_vec(&record).map_or(0, |json| json.len());
            if size <= LARGEST_RECORD {
                break;
            }
        }
        record
    }

    /// Why a pool was chosen, for a person: what decided, with the figures. `None`: none was.
    #[must_use]
    pub fn says(&self) -> Option<String> {
        let first = self.candidates.first()?;
        let (name, fitting) = (&first.pool_name, self.fitting);
        let text = match (self.basis, first.predicted_p99, first.in_flight) {
            (Basis::Latency, Some(p99), Some(in_flight)) => {
                let hot = if first.is_hot { "hot, " } else { "" };
                let drawn = self.candidates.len();
                format!(
                    "pool `{name}` of {drawn} that were drawn from {fitting} that fit: {hot}{in_flight} I/Os in flight, a \
                     99th percentile of {p99} predicted with it; {} volumes, {} free",
                    first.volumes.unwrap_or_default(),
                    first.free_bytes
                )
            }
            _ => format!(
                "pool `{name}` of {fitting} that fit, by free space alone ({}): nothing is known of their latency just now",
                first.free_bytes
            ),
        };
        Some(text)
    }

    /// Why no pool fits, for a person: each filter with its count and a few pools.
    #[must_use]
    pub fn explain(&self) -> String {
        if self.of == 0 {
            return "there is no StoragePool: create one, or start an agent that has one"
                .to_owned();
        }
        let mut text = format!("none of {} pools fits: ", self.of);
        for (index, (filter, count, examples)) in self.tally.refusals().enumerate() {
            let comma = if index > 0 { "; " } else { "" };
            let names: Vec<&str> = examples.iter().map(ObjectName::as_str).collect();
            let more = if usize::try_from(count).is_ok_and(|count| count > names.len()) {
                ", …"
            } else {
                ""
            };
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "{comma}{count} {} ({}: {}{more})",
                filter.says(),
                filter.name(),
                names.join(", ")
            );
        }
        text
    }
}
