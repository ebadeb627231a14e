//! Placement: which pool a volume goes to.
//!
//! [`place`] is a function of data alone: the same pools, in whatever order, the same volume, the same holds and
//! the same seed give the same answer. It goes over the pools once: the first [`Filter`] that refuses a pool is
//! the one that is counted for it, and what no filter refuses is compared ([`choose`]). What was decided, and
//! why, leaves as the volume's placement record and as a sentence for a person ([`Placement::explain`]).
//!
//! Space is counted twice over, and the smaller result counts: what the pool's agent says is free, less what was
//! promised and is not there yet; and the pool's size less everything that was promised. The first sees what is
//! not Weir's, the second is right while an agent's word is old.
#![forbid(unsafe_code)]

mod affinity;
mod choose;
mod filter;
mod holds;
mod outcome;
mod pool_view;
mod room;
#[cfg(test)]
mod tests;
mod usage;
mod volume_view;

use weir_api::volume::Candidate;

pub use filter::Filter;
pub use holds::{Hold, Holds};
pub use outcome::{Placement, Tally};
pub use pool_view::{Health, PoolView};
pub use room::Space;
pub use usage::Usage;
pub use volume_view::{EXTENT, VolumeView};

use choose::{Contender, MOST_CANDIDATES};

/// Chooses a pool for a volume.
#[must_use]
pub fn place(pools: &[PoolView], volume: &VolumeView, holds: &Holds, seed: u64) -> Placement {
    let occupied = holds.occupied(volume.key());
    let mut tally = Tally::default();
    let mut contenders = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        let held = holds.on(&pool.name);
        let is_occupied = volume.occupied.contains(&pool.node) || occupied.contains(&&pool.node);
        match filter::refusal(pool, &held, volume, is_occupied) {
            Ok(room) => contenders.push(Contender::new(index, pool, volume, room, seed)),
            Err(filter) => tally.count(filter, &pool.name),
        }
    }
    let best = choose::best(&mut contenders, pools);
    let candidate = |contender: &Contender| Candidate {
        pool_name: pools[contender.index].name.clone(),
        predicted_p99: None,
        in_flight: None,
        free_bytes: contender.room.before,
        is_hot: false,
    };
    Placement {
        winner: best.first().map(|first| first.index),
        candidates: best.iter().take(MOST_CANDIDATES).map(candidate).collect(),
        fitting: contenders.len(),
        of: pools.len(),
        tally,
        seed,
    }
}
