//! Which of the pools that can take a volume is best.
//!
//! The locality that is preferred comes first, then preferred labels. Among those that are equal in that:
//!
//! - Where latency is known, [`SAMPLE`] pools are drawn, and the best of these is taken: not the best of all, which
//!   everybody else would take as well, before it shows. Pools that are cold come before those of which nothing is known,
//!   and these before hot ones. Of cold ones the lowest predicted 99th percentile is best, by steps of half a power of two from
//!   the middle of all pools: what is nearer to another may be the other way round some minutes later. Of those that are equal
//!   in that, the one with the least in flight is best: it has the most to spare for what nobody knows yet. Of hot ones the
//!   lowest in-flight is best, of unknown ones the largest share of free space.
//! - Where nobody's latency is known, all pools are compared by space: the share of the pool that is left, then the bytes.
//!
//! Ties are decided by a hash of the pool's name and the seed, so that volumes with different seeds spread and the same
//! decision can be made again. What is drawn is decided by the same hash: the order of the pools has no part in it.

use std::cmp::Ordering;

use weir_api::crd::Locality;

use super::affinity::score;
use super::climate::Climate;
use super::model::Trust;
use super::pool_view::PoolView;
use super::room::Room;
use super::volume_view::VolumeView;

/// How many pools a placement record names.
pub(super) const MOST_CANDIDATES: usize = 8;

/// How many pools are drawn.
pub const SAMPLE: usize = 8;

/// A pool that can take the volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    pub(super) index: usize,
    pub(super) room: Room,
    /// With the volume, in microseconds; `None`: not known.
    pub(super) predicted: Option<f32>,
    pub(super) is_hot: bool,
    rank: Rank,
}

/// The larger, the better; compared in the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    latency: u32,
    /// The more is in flight, the smaller.
    spare: u32,
    share: u64,
    left: u64,
    tie: u64,
}

/// What comes before all figures; the larger, the better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    is_on_preferred_side: bool,
    labels: u32,
}

/// The best that were seen so far.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pools: &'a [PoolView],
    climate: &'a Climate,
    volume: &'a VolumeView,
    seed: u64,
    has_preferences: bool,
    preference: Preference,
    contenders: Vec<Contender>,
}

impl<'a> Field<'a> {
    pub(super) fn new(
        pools: &'a [PoolView],
        climate: &'a Climate,
        volume: &'a VolumeView,
        seed: u64,
    ) -> Self {
        let wish = &volume.placement;
        let has_labels = [&wish.nodes, &wish.pools]
            .into_iter()
            .flatten()
            .any(|affinity| !affinity.preferred.is_empty());
        let has_side = matches!(
            wish.locality,
            Locality::PreferLocal | Locality::PreferRemote
        ) && !volume.consumers.is_empty();
        Field {
            pools,
            climate,
            volume,
            seed,
            has_preferences: has_labels || has_side,
            preference: Preference::default(),
            contenders: Vec::with_capacity(MOST_CANDIDATES + 1),
        }
    }

    /// A pool can take the volume.
    pub(super) fn enter(&mut self, index: usize, room: Room) {
        if self.has_preferences {
            let preference = self.preference(index);
            match preference.cmp(&self.preference) {
                Ordering::Less => return,
                Ordering::Equal => {}
                Ordering::Greater => {
                    self.preference = preference;
                    self.contenders.clear();
                }
            }
        }
        let pool = &self.pools[index];
        let tie = mix(self.seed ^ pool.hash);
        // Whoever is drawn has the largest hash.
        if self.is_drawn()
            && self.contenders.len() == SAMPLE
            && self
                .contenders
                .last()
                .is_some_and(|last| last.rank.tie > tie)
        {
            return;
        }
        let contender = self.contender(index, room, tie);
        let order = |other: &Contender| match self.is_drawn() {
            true => other.rank.tie.cmp(&tie),
            false => other.rank.cmp(&contender.rank),
        };
        // Two names with one hash are told apart by the names.
        let is_before = |other: &Contender| {
            let names = || pool.name.cmp(&self.pools[other.index].name);
            order(other).then_with(names) == Ordering::Greater
        };
        let place = self.contenders.partition_point(is_before);
        let most = if self.is_drawn() {
            SAMPLE
        } else {
            MOST_CANDIDATES
        };
        if place < most {
            self.contenders.insert(place, contender);
            self.contenders.truncate(most);
        }
    }

    /// The contenders, the best first.
    pub(super) fn best(mut self) -> Vec<Contender> {
        let pools = self.pools;
        self.contenders.sort_by(|a, b| {
            let names = || pools[a.index].name.cmp(&pools[b.index].name);
            b.rank.cmp(&a.rank).then_with(names)
        });
        self.contenders
    }

    /// Whether latency decides, among some that are drawn; otherwise space does, among all.
    pub(super) fn is_drawn(&self) -> bool {
        self.climate.known > 0
    }

    fn contender(&self, index: usize, room: Room, tie: u64) -> Contender {
        let live = &self.pools[index].live;
        let is_known = self.is_drawn() && live.trust != Trust::None;
        let predicted = is_known.then(|| live.worse_with(self.climate.of_one));
        let is_hot = is_known && live.load() > self.climate.hot_above;
        let latency = match predicted {
            None => UNKNOWN,
            Some(_) if is_hot => HOT - eighths(live.load()),
            Some(predicted) => COLD.saturating_add_signed(-self.steps(predicted)),
        };
        let spare = if is_known {
            u32::MAX - thousandths(live.load())
        } else {
            0
        };
        Contender {
            index,
            room,
            predicted,
            is_hot,
            rank: Rank {
                latency,
                spare,
                share: share(room),
                left: room.after.0,
                tie,
            },
        }
    }

    /// How far a latency is from the middle of all pools.
    fn steps(&self, predicted: f32) -> i32 {
        let log = |micros: f32| (micros.clamp(0.0, 1e12) + 1.0).log2();
        let apart = log(predicted) - log(self.climate.middle);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are few powers of two"
        )]
        let steps = (apart * STEPS).round() as i32;
        steps
    }

    fn preference(&self, index: usize) -> Preference {
        let (pool, volume) = (&self.pools[index], self.volume);
        let wish = &volume.placement;
        let is_on_preferred_side = match wish.locality {
            Locality::PreferLocal => volume.is_local(&pool.node) == Some(true),
            Locality::PreferRemote => volume.is_local(&pool.node) == Some(false),
            Locality::MustLocal | Locality::MustRemote | Locality::NoPreference => false,
        };
        let labels = score(wish.nodes.as_ref(), &pool.node_labels)
            + score(wish.pools.as_ref(), &pool.labels);
        Preference {
            is_on_preferred_side,
            labels,
        }
    }
}

/// So many steps are a power of two.
const STEPS: f32 = 2.0;

/// The middle of the cold, and the best of the others; what is worse is less. There are far fewer than a thousand steps.
const COLD: u32 = 3000;
const UNKNOWN: u32 = 1500;
const HOT: u32 = 1000;

/// In steps of an eighth of a power of two: nothing is measured more exactly than that.
fn eighths(value: f32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that is not negative"
    )]
    let steps = (value.clamp(0.0, 1e12) + 1.0).log2().mul_add(8.0, 0.5) as u32;
    steps
}

fn thousandths(in_flight: f32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number that is not negative and not large"
    )]
    let whole = (in_flight.clamp(0.0, 1e6) * 1e3) as u32;
    whole
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
