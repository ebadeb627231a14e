//! How much one scrape may hold. What is beyond is left out whole, in all families alike, and counted.
//!
//! What stays is the first of what the probes say, so it is the same from scrape to scrape.

use crate::ladder::BackendFigures;
use crate::probe::{ImportFigures, InitiatorFigures, Snapshot, StageOff, VolumeFigures};

/// Volumes, and as many that this node uses over NVMe: twice as many as the maps have room for unless they are asked for more.
pub(super) const VOLUMES: usize = 2_000;
/// Pairs of a volume and one of its initiators.
pub(super) const INITIATORS: usize = 4_000;
/// Reasons why something is not measured; where the maps are full, each volume that found no room has one.
pub(super) const REASONS: usize = 100;

/// What of a snapshot may be in a scrape.
pub(super) struct Capped<'a> {
    pub(super) volumes: &'a [VolumeFigures],
    pub(super) backends: &'a [BackendFigures],
    pub(super) initiators: &'a [InitiatorFigures],
    pub(super) imports: &'a [ImportFigures],
    pub(super) off: &'a [StageOff],
    /// How much was left out, by the label `kind`.
    pub(super) left_out: [(&'static str, usize); 4],
}

impl<'a> From<&'a Snapshot> for Capped<'a> {
    fn from(snapshot: &'a Snapshot) -> Self {
        let (volumes, more_volumes) = first(&snapshot.volumes, VOLUMES);
        let (backends, more_backends) = first(&snapshot.backends, VOLUMES);
        let (initiators, more_initiators) = first(&snapshot.initiators, INITIATORS);
        let (imports, more_imports) = first(&snapshot.imports, VOLUMES);
        let (off, more_reasons) = first(&snapshot.off, REASONS);
        Capped {
            volumes,
            backends,
            initiators,
            imports,
            off,
            left_out: [
                ("volume", more_volumes + more_backends),
                ("initiator", more_initiators),
                ("import", more_imports),
                ("reason", more_reasons),
            ],
        }
    }
}

/// The first so many, and the number of those that are left.
fn first<T>(all: &[T], at_most: usize) -> (&[T], usize) {
    let kept = all.len().min(at_most);
    (&all[..kept], all.len() - kept)
}
