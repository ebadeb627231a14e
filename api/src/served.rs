//! From what may be asked of Weir to what an agent of this version serves.
//!
//! What an agent can't do is refused by the field's name, never ignored: a volume that was asked to be
//! mirrored and is not would be taken for one that survives a disk. Fields are taken apart one by one, so
//! that a new one of the API can't be forgotten here.

use thiserror::Error;

use crate::crd;
use crate::pool::{KernelPool, PoolEngine, PoolSpec};
use crate::units::{Bytes, Ratio};
use crate::volume::{Source, VolumeSpec};

/// Something that an agent of this version does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field}: {rule}")]
pub struct NotServed {
    /// Path of the field, dotted.
    pub field: &'static str,
    /// What an agent can do there.
    pub rule: &'static str,
}

/// Who chooses pools: what is asked of the choice is theirs, and refused where there is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// Nobody: a person wrote the pool's name, into a file.
    Nobody,
    /// The controller, before the agent sees the object.
    Controller,
}

const NOT_YET: &str = "this version does not serve it yet";

/// A pool as an agent serves it.
///
/// # Errors
/// Names the first field that asks for what an agent can't do.
pub fn pool(spec: crd::StoragePoolSpec, placing: Placing) -> Result<PoolSpec, NotServed> {
    let crd::StoragePoolSpec {
        node_name,
        engine: crd::PoolEngine { kernel, spdk },
        portals,
        unschedulable,
        reserved_bytes,
        max_volumes,
        max_remote_volumes,
        overprovision_ratio,
        accept_volatile_write_cache,
    } = spec;
    refuse("spec.engine.spdk", spdk.is_some(), NOT_YET)?;
    let kernel: KernelPool = kernel.ok_or(NotServed {
        field: "spec.engine.kernel",
        rule: "is missing, and no other engine is served yet",
    })?;
    refuse(
        "spec.engine.kernel.stripes",
        kernel.stripes.is_some(),
        NOT_YET,
    )?;
    // These are for placement, which an agent has no part in: it would accept what they forbid.
    let for_placement = "placement's, which there is none of yet";
    let ratio = overprovision_ratio != Ratio::default();
    let asked = [
        ("spec.unschedulable", unschedulable),
        ("spec.reservedBytes", reserved_bytes != Bytes(0)),
        ("spec.maxVolumes", max_volumes.is_some()),
        ("spec.maxRemoteVolumes", max_remote_volumes.is_some()),
        ("spec.overprovisionRatio", ratio),
    ];
    for (field, is_asked) in asked {
        refuse(field, is_asked && placing == Placing::Nobody, for_placement)?;
    }
    Ok(PoolSpec {
        node_name,
        engine: PoolEngine { kernel },
        portals,
        accept_volatile_write_cache,
    })
}

/// A volume as the agent of its pool serves it.
///
/// # Errors
/// Names the first field that asks for what an agent can't do.
pub fn volume(spec: crd::VolumeSpec, placing: Placing) -> Result<VolumeSpec, NotServed> {
    let crd::VolumeSpec {
        id,
        capacity_bytes,
        engine,
        provisioning,
        layout,
        access,
        placement,
        latency,
        qos,
        source,
        wipe,
        attachments,
        pool_name,
    } = spec;
    let pool_name = pool_name.ok_or(NotServed {
        field: "spec.poolName",
        rule: "is missing, and nobody chooses a pool yet",
    })?;
    let is_placed = placing == Placing::Controller;
    // `any` was settled by the choice of a pool.
    let kernel = engine == crd::Engine::Kernel || is_placed && engine == crd::Engine::Any;
    refuse("spec.engine", !kernel, "only `kernel` is served yet")?;
    let linear = layout == crd::Layout::Linear;
    refuse("spec.layout", !linear, "only `linear` is served yet")?;
    refuse(
        "spec.wipe",
        wipe != crd::Wipe::Zero,
        "only `zero` is served yet",
    )?;
    refuse("spec.placement", placement.is_some() && !is_placed, NOT_YET)?;
    refuse("spec.latency", latency.is_some(), NOT_YET)?;
    refuse("spec.qos", qos.is_some(), NOT_YET)?;
    let read_only = attachments.iter().any(|attachment| attachment.read_only);
    refuse("spec.attachments.readOnly", read_only, NOT_YET)?;
    Ok(VolumeSpec {
        id,
        capacity_bytes,
        pool_name,
        provisioning,
        source: source.map(served_source).transpose()?,
        access,
        attachments,
    })
}

fn served_source(source: crd::Source) -> Result<Source, NotServed> {
    let crd::Source {
        snapshot,
        volume,
        logical_volume,
    } = source;
    refuse("spec.source.snapshot", snapshot.is_some(), NOT_YET)?;
    refuse("spec.source.volume", volume.is_some(), NOT_YET)?;
    let logical_volume = logical_volume.ok_or(NotServed {
        field: "spec.source.logicalVolume",
        rule: "is missing, and no other source is served yet",
    })?;
    Ok(Source { logical_volume })
}

fn refuse(field: &'static str, is_asked: bool, rule: &'static str) -> Result<(), NotServed> {
    match is_asked {
        true => Err(NotServed { field, rule }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    const VOLUME: &str = "
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata: {name: pg-data}
spec:
  id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  capacityBytes: 1073741824
  poolName: fast
  source: {logicalVolume: old}
  attachments: [{nodeName: app-1, generation: 3}]
";
    const POOL: &str = "
apiVersion: weir.dev/v1alpha1
kind: StoragePool
metadata: {name: fast}
spec:
  nodeName: storage-1
  engine: {kernel: {volumeGroup: weir-fast, devices: [/dev/vdb]}}
";

    /// Each row: what is put in the place of what in a good object, and the field that is refused.
    #[test]
    fn what_is_not_served_is_refused_by_name() {
        let name = "poolName: fast";
        let node = "nodeName: storage-1";
        let rows = [
            (VOLUME, name, "engine: kernel", "spec.poolName"),
            (
                VOLUME,
                name,
                "poolName: fast\n  engine: spdk",
                "spec.engine",
            ),
            (VOLUME, name, "poolName: fast\n  engine: any", "spec.engine"),
            (
                VOLUME,
                name,
                "poolName: fast\n  layout: striped",
                "spec.layout",
            ),
            (
                VOLUME,
                name,
                "poolName: fast\n  layout: mirror",
                "spec.layout",
            ),
            (VOLUME, name, "poolName: fast\n  wipe: discard", "spec.wipe"),
            (VOLUME, name, "poolName: fast\n  wipe: none", "spec.wipe"),
            (
                VOLUME,
                name,
                "poolName: fast\n  placement: {}",
                "spec.placement",
            ),
            (
                VOLUME,
                name,
                "poolName: fast\n  latency: {readP99: 2ms}",
                "spec.latency",
            ),
            (
                VOLUME,
                name,
                "poolName: fast\n  qos: {readIops: 1}",
                "spec.qos",
            ),
            (
                VOLUME,
                "logicalVolume: old",
                "snapshot: a",
                "spec.source.snapshot",
            ),
            (
                VOLUME,
                "logicalVolume: old",
                "volume: a",
                "spec.source.volume",
            ),
            (
                VOLUME,
                "{logicalVolume: old}",
                "{}",
                "spec.source.logicalVolume",
            ),
            (
                VOLUME,
                "logicalVolume: old",
                "snapshot: a, logicalVolume: old",
                "spec.source.snapshot",
            ),
            (
                VOLUME,
                "generation: 3",
                "generation: 3, readOnly: true",
                "spec.attachments.readOnly",
            ),
            (
                POOL,
                "kernel: {volumeGroup: weir-fast, devices: [/dev/vdb]}",
                "",
                "spec.engine.kernel",
            ),
            (
                POOL,
                "kernel: {volumeGroup: weir-fast, devices: [/dev/vdb]}",
                "spdk: {lvstore: a, base: {malloc: {capacityBytes: 1}}}",
                "spec.engine.spdk",
            ),
            (
                POOL,
                "devices: [/dev/vdb]",
                "stripes: 2",
                "spec.engine.kernel.stripes",
            ),
            (
                POOL,
                node,
                "nodeName: storage-1\n  unschedulable: true",
                "spec.unschedulable",
            ),
            (
                POOL,
                node,
                "nodeName: storage-1\n  reservedBytes: 1",
                "spec.reservedBytes",
            ),
            (
                POOL,
                node,
                "nodeName: storage-1\n  maxVolumes: 1",
                "spec.maxVolumes",
            ),
            (
                POOL,
                node,
                "nodeName: storage-1\n  maxRemoteVolumes: 0",
                "spec.maxRemoteVolumes",
            ),
            (
                POOL,
                node,
                "nodeName: storage-1\n  overprovisionRatio: '2'",
                "spec.overprovisionRatio",
            ),
        ];
        for (good, from, to, field) in rows {
            assert!(good.contains(from), "{from}");
            parse(good).unwrap();
            let error = parse(&good.replace(from, to)).expect_err(to).to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{to}: {error}");
        }
    }

    /// `kubectl get -o yaml` prints what the API filled in: that is a request as well.
    #[test]
    fn what_is_served_may_be_said_in_full() {
        let volume = VOLUME.replace(
            "poolName: fast",
            "poolName: fast\n  engine: kernel\n  layout: linear\n  wipe: zero\n  access: SingleHost",
        );
        assert_eq!(parse(&volume).unwrap(), parse(VOLUME).unwrap());
        let pool = POOL.replace(
            "nodeName: storage-1",
            "nodeName: storage-1\n  unschedulable: false\n  reservedBytes: 0\n  overprovisionRatio: '1'",
        );
        assert_eq!(parse(&pool).unwrap(), parse(POOL).unwrap());
    }
}
