//! The filters: why a pool can't take a volume.
//!
//! What was asked for comes before how a pool is just now, so that the counts say: of the pools that you want,
//! these are full.

use weir_api::crd::{Engine, Layout, Locality};
use weir_api::units::Bytes;

use super::affinity::admits;
use super::climate::Climate;
use super::model::Trust;
use super::pool_view::{Health, PoolView};
use super::room::Room;
use super::usage::Usage;
use super::volume_view::VolumeView;

/// A reason why a pool can't take a volume, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// Another engine was asked for.
    Engine,
    /// It has too few disks for the layout.
    Layout,
    /// Its node's labels are not as they must be.
    Nodes,
    /// Its own labels are not as they must be.
    Pools,
    /// It is on the wrong side: not where the volume is used, or where it must not be, or out of reach.
    Locality,
    /// It, or its node, takes no more volumes.
    Schedulable,
    /// It can't be used.
    Health,
    /// Too many of its I/Os fail, however quickly.
    Failing,
    /// Its agent refused this volume lately.
    Rejected,
    /// Its node holds a volume with the same anti-affinity key.
    AntiAffinity,
    /// It has as many volumes as it may.
    MaxVolumes,
    /// It has as many volumes for other nodes as it may.
    MaxRemoteVolumes,
    /// Its thin pool is too full for another volume.
    ThinPool,
    /// It has too little space.
    Capacity,
    /// An objective was asked for, and its latency is not known, while others' is.
    Telemetry,
    /// It could not keep the objective with this volume in it.
    Latency,
}

impl Filter {
    /// All of them, in order.
    pub const ALL: [Filter; 16] = [
        Filter::Engine,
        Filter::Layout,
        Filter::Nodes,
        Filter::Pools,
        Filter::Locality,
        Filter::Schedulable,
        Filter::Health,
        Filter::Failing,
        Filter::Rejected,
        Filter::AntiAffinity,
        Filter::MaxVolumes,
        Filter::MaxRemoteVolumes,
        Filter::ThinPool,
        Filter::Capacity,
        Filter::Telemetry,
        Filter::Latency,
    ];

    /// Its name in a placement record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Filter::Engine => "engine",
            Filter::Layout => "layout",
            Filter::Nodes => "nodes",
            Filter::Pools => "pools",
            Filter::Locality => "locality",
            Filter::Schedulable => "schedulable",
            Filter::Health => "health",
            Filter::Failing => "failing",
            Filter::Rejected => "rejected",
            Filter::AntiAffinity => "antiAffinity",
            Filter::MaxVolumes => "maxVolumes",
            Filter::MaxRemoteVolumes => "maxRemoteVolumes",
            Filter::ThinPool => "thinPool",
            Filter::Capacity => "capacity",
            Filter::Telemetry => "telemetry",
            Filter::Latency => "latency",
        }
    }

    /// What the pools that it refused have in common, behind their number.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Filter::Engine => "with another engine",
            Filter::Layout => "with too few disks for the layout",
            Filter::Nodes => "on nodes without the labels asked for",
            Filter::Pools => "without the labels asked for",
            Filter::Locality => "not where the locality or the portals allow",
            Filter::Schedulable => "cordoned",
            Filter::Health => "not Ready",
            Filter::Failing => "whose I/Os fail",
            Filter::Rejected => "whose agent refused it in the last minutes",
            Filter::AntiAffinity => "on nodes that hold a volume with its anti-affinity key",
            Filter::MaxVolumes => "at their maxVolumes",
            Filter::MaxRemoteVolumes => "at their maxRemoteVolumes",
            Filter::ThinPool => "whose thin pool is too full for another volume",
            Filter::Capacity => "with too little space",
            Filter::Telemetry => "whose latency is not known just now",
            Filter::Latency => "that could not keep the latency objective",
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// Of a thousand I/Os so many may fail: any disk has a bad day, and a user a bad request.
const MAY_FAIL: u16 = 10;

/// The room a volume has in a pool, or the first filter that refuses the pool.
pub(super) fn refusal(
    pool: &PoolView,
    climate: &Climate,
    held: &Usage,
    volume: &VolumeView,
    is_occupied: bool,
) -> Result<Room, Filter> {
    let refuse = |refuses: bool, filter: Filter| if refuses { Err(filter) } else { Ok(()) };
    let wish = &volume.placement;
    let other_engine = volume.engine != Engine::Any && volume.engine != pool.engine;
    refuse(other_engine, Filter::Engine)?;
    let too_few = pool.disks.is_some_and(|disks| disks < 2);
    refuse(volume.layout != Layout::Linear && too_few, Filter::Layout)?;
    let nodes = admits(wish.nodes.as_ref(), &pool.node_labels);
    refuse(!nodes, Filter::Nodes)?;
    let pools = admits(wish.pools.as_ref(), &pool.labels);
    refuse(!pools, Filter::Pools)?;
    refuse(is_misplaced(pool, volume), Filter::Locality)?;
    refuse(pool.is_cordoned, Filter::Schedulable)?;
    refuse(pool.health != Health::Ready, Filter::Health)?;
    refuse(pool.live.failing > MAY_FAIL, Filter::Failing)?;
    refuse(volume.left_out.contains(&pool.name), Filter::Rejected)?;
    refuse(is_occupied, Filter::AntiAffinity)?;
    let wanted = volume.usage(&pool.node);
    let after = pool.booked.plus(held).plus(&wanted);
    let too_many = |count: u32, most: Option<u32>| most.is_some_and(|most| count > most);
    refuse(
        too_many(after.volumes, pool.max_volumes),
        Filter::MaxVolumes,
    )?;
    let is_remote = wanted.remote > 0;
    refuse(
        is_remote && too_many(after.remote, pool.max_remote_volumes),
        Filter::MaxRemoteVolumes,
    )?;
    // Thick volumes take nothing of it.
    let is_thin = wanted.thin > Bytes(0);
    refuse(is_thin && pool.space.is_thin_full, Filter::ThinPool)?;
    let room = pool.space.room(&pool.booked, held, &wanted);
    let room = room.ok_or(Filter::Capacity)?;
    // Where nobody's latency is known, space decides, and the placement says so.
    if volume.has_objective() && climate.known > 0 {
        refuse(pool.live.trust == Trust::None, Filter::Telemetry)?;
        refuse(!keeps_objective(pool, climate, volume), Filter::Latency)?;
    }
    Ok(room)
}

fn keeps_objective(pool: &PoolView, climate: &Climate, volume: &VolumeView) -> bool {
    let (read, write) = pool.live.with(climate.of_one);
    let spare = match pool.live.trust {
        Trust::Full => 1.0,
        Trust::Coarse | Trust::None => 1.25,
    };
    let keeps =
        |predicted: f32, most: Option<f32>| most.is_none_or(|most| predicted * spare <= most);
    keeps(read, volume.read_p99) && keeps(write, volume.write_p99)
}

fn is_misplaced(pool: &PoolView, volume: &VolumeView) -> bool {
    let is_local = volume.is_local(&pool.node);
    let locality = volume.placement.locality;
    // A node can only reach another's volumes through portals.
    let is_out_of_reach = !pool.has_portals && is_local == Some(false);
    match locality {
        // Nobody is known to use it: whoever will, has to come to where it is.
        Locality::MustLocal => is_local == Some(false),
        Locality::MustRemote => is_local == Some(true) || !pool.has_portals,
        Locality::PreferLocal | Locality::NoPreference | Locality::PreferRemote => is_out_of_reach,
    }
}
