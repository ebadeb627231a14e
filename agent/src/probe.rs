//! Every volume's latency, measured in the kernel: loading the eBPF programs, telling them which
//! devices are whose, reading what they counted.
//!
//! ```text
//! start ── pins: one agent at a time ── maps: opened or made ── programs: attached, links pinned
//! sync ─── slots: who counts where ──── devices, hosts: written to the maps
//! read ─── snapshot: pure data          age ── lost starts are given up
//! ```
//!
//! Invariants:
//! - Maps and links are pinned: counting goes on while no agent runs, and a new agent finds it.
//! - A slot is given to somebody else only after its generation was raised, and after every program
//!   that could have seen the old one has ended. An interval that ends later is dropped and counted.
//! - The programs write histograms, counts and drops; the agent writes all else. No word of a map that
//!   is in use has two kinds of writers, but for those of tables, which change by atomic operations.

mod ageing;
mod grace;
mod groups;
mod handover;
mod mapper;
mod maps;
mod members;
mod object;
mod owned;
mod pins;
mod plan;
mod reading;
mod resolve;
mod shared;
mod skips;
mod slots;
mod snapshot;
mod sync;
mod sysfs;
mod tables;
mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use thiserror::Error;
use weir_agent_ebpf::layout::Place;
use weir_api::names::VolumeId;

use groups::Asked;

pub use groups::Copies;
pub use object::{EMBEDDED, LoadError};
pub use snapshot::{
    DiskFigures, ImportFigures, InitiatorFigures, OpFigures, Snapshot, Stage, StageOff,
    VolumeFigures,
};
pub use wanted::{
    DevT, DevTError, MeasuredDevice, MeasuredDisk, MeasuredImport, MeasuredVolume, Mode, Wanted,
};
pub use weir_agent_ebpf::layout::{Failure, Loss, Op, Size, Sized, Tally};
pub use weir_agent_ebpf::shapes::Room;

/// How to measure.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Where the BPF file system is, or is to be mounted: `/sys/fs/bpf`.
    pub bpffs: PathBuf,
    /// `/sys`.
    pub sysfs: PathBuf,
    /// What the maps have room for, if they are made now.
    pub room: Room,
    /// The eBPF object: [`EMBEDDED`].
    pub object: &'static [u8],
    /// How often programs that see I/Os end are attached.
    pub copies: Copies,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        ProbeConfig {
            bpffs: "/sys/fs/bpf".into(),
            sysfs: "/sys".into(),
            room: Room::of_volumes(1000),
            object: EMBEDDED,
            copies: Copies::default(),
        }
    }
}

/// Why nothing can be measured.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// This agent was built without the eBPF object.
    #[error("built without probes: `cargo xtask` builds them in")]
    NotBuilt,
    /// Another agent measures on this node.
    #[error("another agent{} holds {path}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Busy {
        /// The pins' directory.
        path: PathBuf,
        /// The other agent, if it can be seen from here.
        pid: Option<i32>,
    },
    /// The BPF file system could not be mounted, read or written.
    #[error("cannot {what} {path}")]
    Pins {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The object could not be loaded.
    #[error("cannot make the maps")]
    Load(#[source] LoadError),
    /// A map could not be opened, read or written.
    #[error("cannot use the map {map}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why not.
        #[source]
        source: aya::maps::MapError,
    },
    /// A map's memory could not be mapped.
    #[error("cannot map the memory of {map}")]
    Memory {
        /// Its name.
        map: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A map that user space fills has no room.
    #[error("the map {map} is full")]
    Full {
        /// Its name.
        map: &'static str,
    },
    /// The clock that the programs read could not be read.
    #[error("cannot read the monotonic clock")]
    Clock(#[source] nix::Error),
}

/// The probes of this node. Dropping it stops nothing: maps and links stay pinned.
pub struct Probes {
    config: ProbeConfig,
    pins: pins::Pins,
    maps: maps::Maps,
    room: Room,
    groups: groups::Groups,
    measured: Measured,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes")
            .field("pins", &self.pins)
            .field("groups", &self.groups)
            .field("measured", &self.measured)
            .finish_non_exhaustive()
    }
}

/// What the last [`Probes::sync`] found places for.
#[derive(Debug, Default)]
struct Measured {
    volumes: Vec<(MeasuredVolume, Place)>,
    initiators: Vec<(snapshot::InitiatorLabels, Place)>,
    disks: Vec<(MeasuredDisk, Place)>,
    imports: Vec<(VolumeId, Place)>,
    off: Vec<StageOff>,
}

impl Probes {
    /// Opens the pinned maps or makes them, and attaches the programs that are not attached yet. What
    /// this kernel lacks turns off the stages that need it: see [`Snapshot::off`].
    ///
    /// The size of maps that exist wins over `room`, for the counters' sake; that it does is
    /// logged. [`Probes::detach_all`] makes way for another size.
    ///
    /// # Errors
    /// If another agent is running, or nothing at all can be measured.
    pub fn start(config: ProbeConfig) -> Result<Self, ProbeError> {
        if config.object.is_empty() {
            return Err(ProbeError::NotBuilt);
        }
        let pins = pins::Pins::open(&config.bpffs)?;
        if !pins.exist() {
            let room = Room {
                volumes: config.room.volumes.max(1),
                ..config.room
            };
            pins.make(|maps| object::make_maps(config.object, maps, room))?;
        }
        let maps = maps::Maps::open(&pins.maps())?;
        let meta = maps.meta()?;
        let room = Room {
            volumes: meta.max_volumes,
            starts: meta.max_starts,
        };
        if room != config.room {
            tracing::warn!(
                asked = ?config.room,
                pinned = ?room,
                "the pinned maps keep their size"
            );
        }
        // A predecessor may have died just after it deleted entries.
        grace::wait_for_running_programs();
        let mut probes = Probes {
            groups: groups::Groups::default(),
            measured: Measured::default(),
            config,
            pins,
            maps,
            room,
        };
        probes.attach(false)?;
        Ok(probes)
    }

    /// Why no I/O of any volume can be seen, for as long as this agent runs: the kernel has no types, or refuses to trace.
    #[must_use]
    pub fn blind(&self) -> Option<&str> {
        self.groups.blind()
    }

    /// Makes the programs count exactly what is wanted: repeating it changes nothing. What is not
    /// wanted any more stops counting at once, and its counters are given up.
    ///
    /// # Errors
    /// If a map can't be read or written; the next call converges.
    pub fn sync(&mut self, wanted: &Wanted) -> Result<(), ProbeError> {
        self.attach(false)?;
        let planned = sync::plan_sync(&self.maps, &self.config.sysfs, wanted, self.groups.lacks())?;
        if planned.brings_requests() {
            self.attach(true)?;
        }
        self.measured = planned.carry_out(&mut self.maps)?;
        Ok(())
    }

    /// All figures of what was last [`Probes::sync`]ed.
    ///
    /// # Errors
    /// If a map can't be read.
    pub fn read(&self) -> Result<Snapshot, ProbeError> {
        reading::read(&self.maps, &self.measured, self.room, &self.groups)
    }

    /// Attaches more copies of programs that the kernel skipped ([`Copies::OnDemand`]), and the one that notes when disks' requests are issued
    /// while that is needed only. Then gives up starts older than `limit`, whose
    /// completion was lost, so that in-flight counts fall back to the truth. Returns how many. An I/O that takes longer than
    /// `limit` is never counted.
    ///
    /// # Errors
    /// If a map can't be read or written.
    pub fn tend(&mut self, limit: Duration) -> Result<u64, ProbeError> {
        self.attach(false)?;
        ageing::age(&mut self.maps, limit)
    }

    /// Detaches every program and removes every pin, of this and any other version. Returns whether
    /// there were any.
    ///
    /// # Errors
    /// If an agent is running, or a pin can't be removed.
    pub fn detach_all(bpffs: &Path) -> Result<bool, ProbeError> {
        pins::remove_all(bpffs)
    }

    /// `brings_requests`: a device will come whose requests may have to be noted when they are issued.
    fn attach(&mut self, brings_requests: bool) -> Result<(), ProbeError> {
        let object = object::Object {
            bytes: self.config.object,
            maps: self.pins.maps(),
            room: self.room,
            types: object::Types::of(&self.config.sysfs),
        };
        self.groups.attach(
            &object,
            &self.pins,
            &mut self.maps,
            &self.config.sysfs,
            Asked {
                copies: self.config.copies,
                issues: brings_requests,
            },
        )
    }
}

/// The clock that the programs read: `CLOCK_MONOTONIC`.
fn monotonic() -> Result<Duration, ProbeError> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(ProbeError::Clock)?;
    Ok(now.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_without_the_object_says_how_to_get_it() {
        let error = Probes::start(ProbeConfig {
            object: &[],
            ..ProbeConfig::default()
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "built without probes: `cargo xtask` builds them in"
        );
    }
}
