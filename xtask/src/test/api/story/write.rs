//! Creating, applying, changing.

use super::manifests::{
    POOL_A, POOL_B, VOLUME_A, VOLUME_A_GROWN, VOLUME_B, VOLUME_STALE, VOLUME_UNKNOWN, VOLUME_WRONG,
};
use crate::test::api::case::{Case, refuse, run};

/// The first objects.
pub(super) fn create() -> Vec<Case> {
    vec![
        run("get wpool").says(&["No resources found"]),
        run("create -f -").with(POOL_A).says(&["storagepool.weir.dev/pool-a created"]),
        refuse("create -f -").with(POOL_A).says(&[
            "Error from server (AlreadyExists): error when creating \"STDIN\": storagepools.weir.dev \"pool-a\" already exists",
        ]),
        run("create -f - --dry-run=client").with(POOL_B).says(&["storagepool.weir.dev/pool-b created (dry run)"]),
        run("create -f - --dry-run=server")
            .only("1.36")
            .with(POOL_B)
            .says(&["storagepool.weir.dev/pool-b created (server dry run)"]),
        refuse("get wpool pool-b").says(&["Error from server (NotFound): storagepools.weir.dev \"pool-b\" not found"]),
        run("create -f -").with(POOL_B).says(&["storagepool.weir.dev/pool-b created"]),
    ]
}

/// Declaring.
pub(super) fn apply() -> Vec<Case> {
    vec![
        run("apply -f -")
            .with(VOLUME_A)
            .says(&["volume.weir.dev/vol-a created"]),
        run("apply -f -")
            .with(VOLUME_A)
            .says(&["volume.weir.dev/vol-a unchanged"]),
        refuse("diff -f -")
            .only("1.36")
            .with(VOLUME_A_GROWN)
            .says(&["- capacityBytes: 1073741824", "+ capacityBytes: 2147483648"]),
        run("apply -f - --dry-run=server")
            .only("1.36")
            .with(VOLUME_A_GROWN)
            .says(&["volume.weir.dev/vol-a configured (server dry run)"]),
        run("apply -f -")
            .with(VOLUME_A_GROWN)
            .says(&["volume.weir.dev/vol-a configured"]),
        run("diff -f -").only("1.36").with(VOLUME_A_GROWN),
        run("get wvol vol-a -o jsonpath={.metadata.generation}/{.spec.capacityBytes}")
            .says(&["2/2147483648"]),
        refuse("apply -f -")
            .with(VOLUME_A)
            .says(&["The Volume \"vol-a\" is invalid: spec*"]),
        refuse("apply -f -").with(VOLUME_WRONG).says(&[
            "The Volume \"vol-wrong\" is invalid:*",
            "* spec.capacityBytes: Invalid value: *",
            "* spec.engine: Unsupported value: \"tape\": supported values: *",
        ]),
        refuse("apply -f -")
            .only("1.36")
            .with(VOLUME_UNKNOWN)
            .says(&["*strict decoding error: unknown field \"spec.bogus\""]),
        // It looks by itself, by the schemas that it was given.
        refuse("apply -f -")
            .only("1.20")
            .with(VOLUME_UNKNOWN)
            .says(&["*unknown field \"bogus\" in dev.weir.v1alpha1.Volume.spec*"]),
        run("apply -f - --validate=warn --dry-run=server")
            .only("1.36")
            .with(VOLUME_UNKNOWN)
            .says(&[
                "Warning: unknown field \"spec.bogus\"",
                "volume.weir.dev/vol-unknown created (server dry run)",
            ]),
        run("apply -f -")
            .with(VOLUME_B)
            .says(&["volume.weir.dev/vol-b created"]),
        // Not done by halves: refused, as a server without it would.
        refuse("apply --server-side -f -")
            .ours()
            .only("1.36")
            .with(VOLUME_B)
            .says(&["*the body of the request was in an unknown format*"]),
    ]
}

/// Changing what is there.
pub(super) fn change() -> Vec<Case> {
    vec![
        run("edit wvol vol-b").editor("sed -i s/capacityBytes:.*/capacityBytes:\\ 3221225472/").says(&["volume.weir.dev/vol-b edited"]),
        run("get wvol vol-b -o jsonpath={.spec.capacityBytes}").says(&["3221225472"]),
        run("edit wvol vol-b").editor("true").says(&["Edit cancelled, no changes made."]),
        refuse("edit wvol vol-b").editor("sed -i s/engine:.*/engine:\\ tape/").says(&["error: volumes.weir.dev \"vol-b\" is invalid"]),
        run("patch wpool pool-a --type=merge -p '{\"spec\":{\"maxVolumes\":9}}'").says(&["storagepool.weir.dev/pool-a patched"]),
        run("patch wpool pool-a --type=merge -p '{\"spec\":{\"maxVolumes\":9}}'")
            .says(&["storagepool.weir.dev/pool-a patched (no change)"]),
        run("patch wpool pool-a --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/maxVolumes\",\"value\":10}]'")
            .says(&["storagepool.weir.dev/pool-a patched"]),
        refuse("patch wpool pool-a --type=json -p '[{\"op\":\"test\",\"path\":\"/spec/maxVolumes\",\"value\":11}]'")
            .says(&["The request is invalid*"]),
        refuse("patch wpool pool-a -p '{\"spec\":{\"maxVolumes\":12}}'").says(&["*the body of the request was in an unknown format*"]),
        refuse("patch wpool pool-a --type=merge -p '{\"spec\":{\"nodeName\":\"node-9\"}}'")
            .says(&["The StoragePool \"pool-a\" is invalid: spec*"]),
        run("get wpool pool-a -o jsonpath={.spec.maxVolumes}").says(&["10"]),
        run("patch wvol vol-a --subresource=status --type=merge -p '{\"status\":{\"phase\":\"Creating\"}}'")
            .newest()
            .says(&["volume.weir.dev/vol-a patched"]),
        run("get wvol vol-a --subresource=status").only("1.36").says(&["NAME STATE *", "vol-a Creating pool-a *"]),
        run("label wpool pool-a a=b").says(&["storagepool.weir.dev/pool-a labeled"]),
        refuse("label wpool pool-a a=c").says(&["error: 'a' already has a value (b), and --overwrite is false"]),
        run("label wpool pool-a a=c --overwrite").says(&["storagepool.weir.dev/pool-a labeled"]),
        run("label wpool --all z=1").says(&["storagepool.weir.dev/pool-a labeled", "storagepool.weir.dev/pool-b labeled"]),
        run("get wpool -l a=c -o name").says(&["storagepool.weir.dev/pool-a"]).never("pool-b"),
        run("label wpool pool-a a-").says(&["storagepool.weir.dev/pool-a *label*"]),
        run("annotate wpool pool-a weir.dev/note='good disks'").says(&["storagepool.weir.dev/pool-a annotated"]),
        refuse("replace -f -").with(VOLUME_B).says(&["The Volume \"vol-b\" is invalid: spec*"]),
        run("replace -f -").with(VOLUME_A_GROWN).says(&["volume.weir.dev/vol-a replaced"]),
        refuse("replace -f -").with(VOLUME_STALE).says(&[
            "Error from server (Conflict): *the object has been modified; please apply your changes to the latest version and try again",
        ]),
        run("replace --force -f -").with(VOLUME_B).says(&["volume.weir.dev/vol-b replaced"]),
    ]
}
