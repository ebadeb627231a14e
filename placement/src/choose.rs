//! Which of the pools that can take a volume is best.
//!
//! The locality that is preferred comes first, then preferred labels. Among those that are equal in that:
//!
//! - Where latency is known, [`SAMPLE`] pools are drawn, and the best of these is taken: not the best of all, which
//!   everybody else would take as well, before it shows. Pools that are cold come before those of which nothing is known,
//!   and these before hot ones. Of cold ones the one with the lowest cost is best ([`Field::cost`]): its predicted 99th percentile
//!   times the volumes that it would have. Of those that are equal in that, the one with the least in flight is best. Of hot ones
//!   the lowest in-flight is best, of unknown ones the largest share of free space.
//!
//! The cost is what all volumes of the pool wait together, if each waits as long. What a controller can't know is what comes:
//! which pool will limp, and which tenant burst. Then all its volumes suffer, and so much longer the more there are, since each
//! brings I/Os of its own into the same queue. The quickest pools alone would take everything and be the most crowded when it
//! happens; with the cost a pool that is three times as slow takes a third as many volumes, instead of none. A volume
//! with an objective goes further out of its way for a quick pool: latency counts [`WITH_OBJECTIVE`] times for it, so that the
//! slower pools fill with volumes that have asked for nothing, and the quicker ones keep what they can spare for those that have.
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
    /// Those that are in it or on their way to it.
    pub(super) volumes: u32,
    rank: Rank,
}

/// The larger, the better; compared in the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Cold, unknown or hot, and what it costs.
    class: u32,
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

    /// A pool can take the volume; `held` volumes are on their way to it, and nobody else has seen them yet.
    pub(super) fn enter(&mut self, index: usize, room: Room, held: u32) {
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
        let contender = self.contender(index, room, tie, held);
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

    fn contender(&self, index: usize, room: Room, tie: u64, held: u32) -> Contender {
        let live = &self.pools[index].live;
        let is_known = self.is_drawn() && live.trust != Trust::None;
        let predicted = is_known.then(|| live.worse_with(self.climate.of_one));
        let is_hot = is_known && live.load() > self.climate.hot_above;
        let volumes = self.pools[index].booked.volumes.saturating_add(held);
        let class = match predicted {
            None => UNKNOWN,
            Some(_) if is_hot => HOT - eighths(power(live.load())),
            Some(predicted) => COLD - eighths(self.cost(predicted, volumes)),
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
            volumes,
            rank: Rank {
                class,
                spare,
                share: share(room),
                left: room.after.0,
                tie,
            },
        }
    }

    /// How long all volumes of a pool would wait together, with this one in it, as a power of two.
    fn cost(&self, predicted: f32, volumes: u32) -> f32 {
        let weight = if self.volume.has_objective() {
            WITH_OBJECTIVE
        } else {
            1.0
        };
        weight * power(predicted) + power(volumes as f32)
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

/// So many times latency counts for a volume with an objective. With once, quick pools fill with volumes that need them less, and
/// a third of all violations was on slow ones (`sim/README.md`); with three times there were no fewer than with two.
const WITH_OBJECTIVE: f32 = 2.0;

/// The best of each; what is worse is less. The highest cost is below a thousand: eight for each power of two, of which
/// a latency has at most 40, counted twice, and a number of volumes 32.
const COLD: u32 = 3000;
const UNKNOWN: u32 = 1500;
const HOT: u32 = 1000;

/// Which power of two it is, with one more, so that nothing has one as well.
fn power(value: f32) -> f32 {
    (value.clamp(0.0, 1e12) + 1.0).log2()
}

/// In steps of an eighth: nothing is measured more exactly than an eighth of a power of two.
fn eighths(power: f32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that is not negative"
    )]
    let steps = power.mul_add(8.0, 0.5) as u32;
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
