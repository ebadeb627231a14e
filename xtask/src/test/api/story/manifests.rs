//! What is given to kubectl.

/// A pool.
pub(super) const POOL_A: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StoragePool
metadata:
  name: pool-a
  labels: {tier: fast}
spec:
  nodeName: node-1
  engine: {kernel: {volumeGroup: fast, devices: [/dev/sdb]}}
"#;

/// Another one, elsewhere.
pub(super) const POOL_B: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StoragePool
metadata:
  name: pool-b
  labels: {tier: slow}
spec:
  nodeName: node-2
  engine: {kernel: {volumeGroup: slow, devices: [/dev/sdc]}}
"#;

/// A volume.
pub(super) const VOLUME_A: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-a
spec:
  id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  capacityBytes: 1073741824
  poolName: pool-a
"#;

/// The same, grown.
pub(super) const VOLUME_A_GROWN: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-a
spec:
  id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  capacityBytes: 2147483648
  poolName: pool-a
"#;

/// Another one.
pub(super) const VOLUME_B: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-b
spec:
  id: 0c9d1f54-0c52-4a57-8f9d-0d5d1f6b2a11
  capacityBytes: 1073741824
  poolName: pool-b
"#;

/// One that somebody has to clean up after.
pub(super) const VOLUME_HELD: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-held
  finalizers: [weir.dev/test]
spec:
  id: 5b1f64a4-44a0-4c6c-8d0e-6f4f3e6f9a3c
  capacityBytes: 1073741824
"#;

/// One with much wrong.
pub(super) const VOLUME_WRONG: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-wrong
spec:
  id: 5b1f64a4-44a0-4c6c-8d0e-6f4f3e6f9a3d
  capacityBytes: 0
  engine: tape
"#;

/// One with a field that there is not.
pub(super) const VOLUME_UNKNOWN: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-unknown
spec:
  id: 5b1f64a4-44a0-4c6c-8d0e-6f4f3e6f9a3e
  capacityBytes: 1073741824
  bogus: 1
"#;

/// The first volume as somebody read it long ago.
pub(super) const VOLUME_STALE: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata:
  name: vol-a
  resourceVersion: "1"
spec:
  id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  capacityBytes: 4294967296
  poolName: pool-a
"#;

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
