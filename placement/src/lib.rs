//! Placement: which pool a volume goes to.
//!
//! [`place`] is a function of data alone: the same pools, in whatever order, the same volume, the same holds and
//! the same seed give the same answer. It goes over the pools once: the first [`Filter`] that refuses a pool is
//! the one that is counted for it; of what no filter refuses some are drawn and compared by their latency, or all by
//! their space where no latency is known ([`choose`]). What was decided, and why, leaves as the volume's placement record
//! and as a sentence for a person ([`Placement::explain`]).
//!
//! What is known of a pool's latency comes out of its [`model`], which hears what agents measured. Its [`Figures`] stand in the
//! pool's [`PoolView`]; what they are compared with is the [`Climate`]; and a volume that is bound stands in the [`Phantoms`] until
//! its load is seen. None of them has a clock or does any I/O: the controller and the simulator drive the same code.
//!
//! Space is counted twice over, and the smaller result counts: what the pool's agent says is free, less what was
//! promised and is not there yet; and the pool's size less everything that was promised. The first sees what is
//! not Weir's, the second is right while an agent's word is old.
#![forbid(unsafe_code)]

mod affinity;
mod choose;
mod climate;
mod filter;
mod holds;
pub mod model;
mod outcome;
mod pool_view;
mod room;
#[cfg(test)]
mod tests;
mod usage;
mod volume_view;

use weir_api::volume::Candidate;

pub use choose::SAMPLE;
pub use climate::Climate;
pub use filter::Filter;
pub use holds::{Hold, Holds};
pub use model::{Figures, Phantoms, PoolModel, Trust};
pub use outcome::{Basis, Placement, Tally};
pub use pool_view::{Health, PoolView};
pub use room::Space;
pub use usage::Usage;
pub use volume_view::{EXTENT, VolumeView};

use choose::{Contender, Field};

/// Chooses a pool for a volume.
#[must_use]
pub fn place(
    pools: &[PoolView],
    climate: &Climate,
    volume: &VolumeView,
    holds: &Holds,
    seed: u64,
) -> Placement {
    let occupied = holds.occupied(volume.key());
    let mut tally = Tally::default();
    let mut field = Field::new(pools, climate, volume, seed);
    let mut fitting = 0;
    for (index, pool) in pools.iter().enumerate() {
        let held = holds.on_pool(pool);
        let is_occupied = volume.occupied.contains(&pool.node) || occupied.contains(&&pool.node);
        match filter::refusal(pool, climate, &held, volume, is_occupied) {
            Ok(room) => {
                fitting += 1;
                field.enter(index, room, held.volumes);
            }
            Err(filter) => tally.count(filter, &pool.name),
        }
    }
    let is_drawn = field.is_drawn();
    let best = field.best();
    let candidate = |contender: &Contender| Candidate {
        pool_name: pools[contender.index].name.clone(),
        predicted_p99: contender.predicted.map(model::latency),
        in_flight: contender
            .predicted
            .map(|_| model::whole(pools[contender.index].live.load())),
        volumes: contender.predicted.map(|_| contender.volumes),
        free_bytes: contender.room.before,
        is_hot: contender.is_hot,
    };
    Placement {
        winner: best.first().map(|first| first.index),
        basis: match best.first() {
            Some(first) if is_drawn && first.predicted.is_some() => Basis::Latency,
            _ => Basis::Space,
        },
        candidates: best.iter().map(candidate).collect(),
        fitting,
        of: pools.len(),
        tally,
        seed,
    }
}
