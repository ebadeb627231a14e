//! Which of the pools that can take a volume is best.
//!
//! The locality that is preferred comes first, then preferred labels, then the share of the pool that is left,
//! then the bytes that are left. Ties are decided by a hash of the pool's name and the seed, so that volumes with
//! different seeds spread and the same decision can be made again.

use weir_api::crd::Locality;

use super::affinity::score;
use super::pool_view::PoolView;
use super::room::Room;
use super::volume_view::VolumeView;

/// How many pools a placement record names.
pub(super) const MOST_CANDIDATES: usize = 8;

/// A pool that can take the volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    pub(super) index: usize,
    pub(super) room: Room,
    rank: Rank,
}

/// The larger, the better; compared in the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_on_preferred_side: bool,
    labels: u32,
    share: u64,
    left: u64,
    tie: u64,
}

impl Contender {
    pub(super) fn new(
        index: usize,
        pool: &PoolView,
        volume: &VolumeView,
        room: Room,
        seed: u64,
    ) -> Self {
        let wish = &volume.placement;
        let is_on_preferred_side = match wish.locality {
            Locality::PreferLocal => volume.is_local(&pool.node) == Some(true),
            Locality::PreferRemote => volume.is_local(&pool.node) == Some(false),
            Locality::MustLocal | Locality::MustRemote | Locality::NoPreference => false,
        };
        let labels = score(wish.nodes.as_ref(), &pool.node_labels)
            + score(wish.pools.as_ref(), &pool.labels);
        let rank = Rank {
            is_on_preferred_side,
            labels,
            share: share(room),
            left: room.after.0,
            tie: mix(seed ^ pool.hash),
        };
        Contender { index, room, rank }
    }
}

/// The best contenders, the best first.
pub(super) fn best<'a>(contenders: &'a mut [Contender], pools: &[PoolView]) -> &'a [Contender] {
    // Two names with one hash are told apart by the names: no order of the pools decides anything.
    let order = |a: &Contender, b: &Contender| {
        let names = || pools[a.index].name.cmp(&pools[b.index].name);
        b.rank.cmp(&a.rank).then_with(names)
    };
    if contenders.len() > MOST_CANDIDATES {
        contenders.select_nth_unstable_by(MOST_CANDIDATES, order);
    }
    let count = contenders.len().min(MOST_CANDIDATES);
    let best = &mut contenders[..count];
    best.sort_unstable_by(order);
    best
}

/// What is left of the whole, in 2³²nds.
fn share(room: Room) -> u64 {
    let whole = u128::from(room.of.0.max(1));
    let share = (u128::from(room.after.0) << 32) / whole;
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Every bit of the result depends on every bit of `value` (the finalizer of a 64-bit congruential generator).
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
