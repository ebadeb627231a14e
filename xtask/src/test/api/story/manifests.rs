//! What is given to kubectl.

/// A pool.
macro_rules! pool {
    (name: $name:literal, node: $node:literal, tier: $tier:literal, device: $device:literal) => {
        concat!(
            "apiVersion: weir.dev/v1alpha1\nkind: StoragePool\n",
            "metadata: {name: ",
            $name,
            ", labels: {tier: ",
            $tier,
            "}}\n",
            "spec:\n  nodeName: ",
            $node,
            "\n",
            "  engine: {kernel: {volumeGroup: ",
            $tier,
            ", devices: [",
            $device,
            "]}}\n",
        )
    };
}

/// A volume; more of its metadata and its spec as lines of YAML.
macro_rules! volume {
    (
        name: $name:literal, id: $id:literal, bytes: $bytes:literal
        $(, metadata: $metadata:literal)? $(, spec: $spec:literal)?
    ) => {
        concat!(
            "apiVersion: weir.dev/v1alpha1\nkind: Volume\n",
            "metadata:\n  name: ", $name, "\n", $("  ", $metadata, "\n",)?
            "spec:\n  id: ", $id, "\n  capacityBytes: ", $bytes, "\n", $("  ", $spec, "\n",)?
        )
    };
}

/// A pool.
pub(super) const POOL_A: &str =
    pool!(name: "pool-a", node: "node-1", tier: "fast", device: "/dev/sdb");

/// Another one, elsewhere.
pub(super) const POOL_B: &str =
    pool!(name: "pool-b", node: "node-2", tier: "slow", device: "/dev/sdc");

/// A volume.
pub(super) const VOLUME_A: &str = volume!(
    name: "vol-a",
    id: "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
    bytes: 1_073_741_824,
    spec: "poolName: pool-a"
);

/// The same, grown.
pub(super) const VOLUME_A_GROWN: &str = volume!(
    name: "vol-a",
    id: "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
    bytes: 2_147_483_648,
    spec: "poolName: pool-a"
);

/// The same as somebody read it long ago.
pub(super) const VOLUME_STALE: &str = volume!(
    name: "vol-a",
    id: "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
    bytes: 4_294_967_296,
    metadata: "resourceVersion: '1'",
    spec: "poolName: pool-a"
);

/// Another one.
pub(super) const VOLUME_B: &str = volume!(
    name: "vol-b",
    id: "0c9d1f54-0c52-4a57-8f9d-0d5d1f6b2a11",
    bytes: 1_073_741_824,
    spec: "poolName: pool-b"
);

/// One that somebody has to clean up after.
pub(super) const VOLUME_HELD: &str = volume!(
    name: "vol-held",
    id: "5b1f64a4-44a0-4c6c-8d0e-6f4f3e6f9a3c",
    bytes: 1_073_741_824,
    metadata: "finalizers: [weir.dev/test]"
);

/// One with much wrong.
pub(super) const VOLUME_WRONG: &str = volume!(
    name: "vol-wrong",
    id: "5b1f64a4-44a0-4c6c-8d0e-6f4f3e6f9a3d",
    bytes: 0,
    spec: "engine: tape"
);

/// One with a field that there is not.
pub(super) const VOLUME_UNKNOWN: &str = volume!(
    name: "vol-unknown",
    id: "5b1f64a4-44a0-4c6c-8d0e-6f4f3e6f9a3e",
    bytes: 1_073_741_824,
    spec: "bogus: 1"
);

/// A leader's lease.
pub(super) const LEASE: &str = r#"
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: weir-controller, namespace: default}
spec:
  holderIdentity: ctl-0
  leaseDurationSeconds: 15
  acquireTime: "2026-11-22T09:00:00.000000Z"
  renewTime: "2026-11-22T09:00:00.123456Z"
"#;

/// A node.
pub(super) const NODE: &str = r#"
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {kubernetes.io/hostname: node-1}}
"#;

/// Something that happened to the first pool.
pub(super) const EVENT: &str = r#"
apiVersion: v1
kind: Event
metadata: {name: pool-a.1, namespace: default}
involvedObject: {apiVersion: weir.dev/v1alpha1, kind: StoragePool, name: pool-a, uid: "{pool}"}
reason: PoolReady
message: the pool is ready
type: Normal
count: 3
firstTimestamp: "2026-11-22T09:00:00Z"
lastTimestamp: "2026-11-22T09:01:00Z"
source: {component: weir-agent, host: node-1}
"#;
