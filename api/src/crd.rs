//! The objects as a Kubernetes API has them: group `weir.dev`, version `v1alpha1`, cluster-scoped, with
//! a status subresource. Whoever creates an object writes its `spec` (the controller adds a volume's
//! `poolName` and the CSI driver its `attachments`); agents and the controller write `status`.
//!
//! What can be said of a value in a schema is said there; what needs two values, or the old one, in a
//! rule ([`rules`]). Types here ignore fields they don't know, since a definition may be upgraded before a
//! client of it; [`crate::parse`], which reads what people wrote, does not.
//!
//! `cargo xtask codegen` writes the definitions to `deploy/crds`.

mod migration;
mod placement;
mod pool;
pub mod rules;
mod set;
mod snapshot;
mod structural;
mod tombstone;
mod volume;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use migration::{MigrationPhase, VolumeMigration, VolumeMigrationSpec, VolumeMigrationStatus};
pub use placement::{Affinity, Locality, Operator, Placement, Preference, Requirement};
pub use pool::{
    PoolEngine, SpdkAio, SpdkBase, SpdkMalloc, SpdkNvme, SpdkPool, StoragePool, StoragePoolSpec,
};
pub use set::{Member, SetLayout, VolumeSet, VolumeSetSpec, VolumeSetStatus, VolumeTemplate};
pub use snapshot::{Snapshot, SnapshotSpec, SnapshotStatus};
pub use tombstone::{Tombstone, TombstonePhase, TombstoneSpec, TombstoneStatus};
pub use volume::{Engine, Layout, Qos, Source, Volume, VolumeSpec, Wipe};

/// Every definition, in the order in which objects refer to each other.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let definitions = [
        StoragePool::crd(),
        Volume::crd(),
        Snapshot::crd(),
        VolumeSet::crd(),
        VolumeMigration::crd(),
        Tombstone::crd(),
    ];
    definitions.map(structural::finish).into()
}

/// A definition as YAML, the same for the same definition on every machine and with every choice of
/// serde_json's features.
#[must_use]
pub fn yaml(definition: &CustomResourceDefinition) -> String {
    // Neither can fail: all keys are text, and no number is NaN.
    let json = serde_json::to_value(definition).unwrap_or_default();
    serde_yaml_ng::to_string(&structural::in_order(json)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
