//! The end of things.

use super::manifests::{POOL_A, VOLUME_A, VOLUME_HELD};
use crate::test::api::case::{Case, refuse, run};

const LET_GO: &str =
    "patch wvol vol-held --type=json -p '[{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}]'";

/// All that was made is deleted, in every way.
pub(super) fn delete() -> Vec<Case> {
    vec![
        run("create -f -").with(VOLUME_HELD).says(&["volume.weir.dev/vol-held created"]),
        run("delete wvol vol-held --wait=false").says(&["volume.weir.dev \"vol-held\" deleted"]),
        run("get wvol vol-held -o yaml").says(&["deletionTimestamp: *", "deletionGracePeriodSeconds: 0", "generation: 2"]),
        refuse("delete wvol vol-held --timeout=1s").says(&["error: timed out waiting for the condition on volumes/vol-held"]),
        refuse("patch wvol vol-held --type=merge -p '{\"metadata\":{\"finalizers\":[\"weir.dev/test\",\"weir.dev/more\"]}}'")
            .says(&["*metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted*"]),
        run("delete wvol vol-held --timeout=30s").says(&["volume.weir.dev \"vol-held\" deleted"]).meanwhile(&[LET_GO]),
        refuse("get wvol vol-held").says(&["*not found"]),
        run("wait --for=delete wvol/vol-b --timeout=30s").meanwhile(&["delete wvol vol-b --wait=false"]),
        run("delete wvol vol-a --dry-run=server").only("1.36").says(&["volume.weir.dev \"vol-a\" deleted (server dry run)"]),
        run("delete wvol vol-a").says(&["volume.weir.dev \"vol-a\" deleted"]),
        refuse("delete wvol vol-a").says(&["Error from server (NotFound): volumes.weir.dev \"vol-a\" not found"]),
        run("delete wvol vol-a --ignore-not-found"),
        run("create -f -").with(VOLUME_A).says(&["volume.weir.dev/vol-a created"]),
        // There is no garbage collector that would finish these, so they are as any other.
        run("delete -f - --cascade=foreground --timeout=30s").ours().with(VOLUME_A).says(&["volume.weir.dev \"vol-a\" deleted"]),
        run("apply -f -").with(VOLUME_A).says(&["volume.weir.dev/vol-a *"]),
        run("delete wvol vol-a --now").says(&["volume.weir.dev \"vol-a\" deleted"]),
        run("delete wpool -l tier=slow").says(&["storagepool.weir.dev \"pool-b\" deleted"]).never("pool-a"),
        run("delete wpool --all").says(&["storagepool.weir.dev \"pool-a\" deleted"]),
        run("apply -f -").with(POOL_A).says(&["storagepool.weir.dev/pool-a created"]),
        run("delete -f -").with(POOL_A).says(&["storagepool.weir.dev \"pool-a\" deleted"]),
        run("get weir").says(&["No resources found"]),
    ]
}
