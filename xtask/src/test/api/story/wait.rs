//! Watching, and waiting.

use crate::test::api::case::{Case, refuse, run};

/// What changes is shown as it does.
pub(super) fn watch() -> Vec<Case> {
    vec![
        run("get wvol -w")
            .says(&["NAME STATE POOL NODE *", "vol-a *", "vol-b *", "vol-a Creating pool-a *"])
            .watching(&["label wvol vol-a w=1"]),
        run("get wvol vol-a -w -o name").says(&["volume.weir.dev/vol-a"]).watching(&["label wvol vol-a w=2 --overwrite"]),
        run("get wvol -w --output-watch-events")
            .says(&["EVENT NAME *", "ADDED vol-a *", "MODIFIED vol-b *"])
            .watching(&["label wvol vol-b w=3"]),
        run("get wvol -w -l w=4 --output-watch-events")
            .says(&["ADDED vol-a *", "ADDED vol-b *", "DELETED vol-a *"])
            .watching(&["label wvol vol-b w=4 --overwrite", "label wvol vol-a w=5 --overwrite"]),
        run("get wvol -w --field-selector spec.poolName=pool-a -o jsonpath={.metadata.name}={.metadata.labels.w};")
            .says(&["*vol-a=6*"])
            .never("vol-b")
            .watching(&["label wvol vol-b w=6 --overwrite", "label wvol vol-a w=6 --overwrite"]),
        run("get wvol --watch-only -o name").says(&["volume.weir.dev/vol-a"]).watching(&["label wvol vol-a w=7 --overwrite"]),
    ]
    .into_iter()
    .map(before_watching)
    .collect::<Vec<_>>()
    .concat()
}

/// The selector's watch needs something to begin with.
fn before_watching(case: Case) -> Vec<Case> {
    if case.args.contains("-l w=4") {
        return vec![
            run("label wvol vol-a w=4 --overwrite").says(&["*labeled"]),
            case,
        ];
    }
    vec![case]
}

const READY: &str = "patch wpool pool-a --subresource=status --type=merge -p '{\"status\":{\"conditions\":[{\"type\":\"Ready\",\
                     \"status\":\"True\",\"reason\":\"Ok\",\"message\":\"\",\"lastTransitionTime\":\"2026-11-22T09:00:00Z\"}]}}'";

/// Until something is so.
pub(super) fn wait() -> Vec<Case> {
    vec![
        refuse("wait --for=condition=Ready wpool/pool-a --timeout=1s")
            .says(&["error: timed out waiting for the condition on storagepools/pool-a"]),
        run("wait --for=condition=Ready wpool/pool-a --timeout=30s")
            .says(&["storagepool.weir.dev/pool-a condition met"])
            .meanwhile(&[READY]),
        run("wait --for=condition=Ready wpool/pool-a --timeout=30s").says(&["storagepool.weir.dev/pool-a condition met"]),
        run("get wpool pool-a").says(&["pool-a True node-1 *"]),
        run("wait --for=jsonpath={.status.phase}=Ready wvol/vol-a --timeout=30s")
            .only("1.36")
            .says(&["volume.weir.dev/vol-a condition met"])
            .meanwhile(&["patch wvol vol-a --subresource=status --type=merge -p '{\"status\":{\"phase\":\"Ready\"}}'"]),
        run("wait --for=create wvol/vol-a --timeout=10s").only("1.36").says(&["volume.weir.dev/vol-a condition met"]),
        refuse("wait --for=create wvol/nope --timeout=1s").only("1.36"),
    ]
}
