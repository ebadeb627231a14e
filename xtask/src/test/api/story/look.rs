//! Looking.

use crate::test::api::case::{Case, refuse, run};

/// Lists and single objects, in every form.
pub(super) fn get() -> Vec<Case> {
    vec![
        run("get wpool").says(&[
            "NAME READY NODE SIZE FREE THIN% P99 AGE",
            "pool-a node-1 *s",
            "pool-b node-2 *s",
        ]),
        run("get storagepools").says(&["pool-a node-1 *"]),
        run("get storagepool/pool-a")
            .says(&["pool-a node-1 *"])
            .never("pool-b"),
        run("get storagepools.v1alpha1.weir.dev pool-a").says(&["pool-a node-1 *"]),
        run("get weir").says(&["*pool-a node-1 *"]),
        run("get wpool -o wide").says(&[
            "NAME READY NODE SIZE FREE THIN% P99 AGE REASON UNSCHEDULABLE *",
            "pool-a node-1 *s* false*",
        ]),
        run("get wpool pool-a -o yaml").says(&[
            "apiVersion: weir.dev/v1alpha1",
            "kind: StoragePool",
            "generation: 1",
            "nodeName: node-1",
        ]),
        run("get wpool -o yaml").says(&["kind: List", "- apiVersion: weir.dev/v1alpha1"]),
        run("get wpool pool-a -o json")
            .says(&["\"kind\": \"StoragePool\",", "\"nodeName\": \"node-1\",*"]),
        run("get wpool -o name")
            .says(&["storagepool.weir.dev/pool-a", "storagepool.weir.dev/pool-b"]),
        run("get wpool -o jsonpath={.items[*].metadata.name}").says(&["pool-a pool-b"]),
        run("get wpool -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName")
            .says(&["NAME NODE", "pool-b node-2"]),
        run("get wpool --sort-by=.spec.nodeName").says(&["pool-b node-2 *"]),
        run("get wpool --show-labels").says(&["NAME *LABELS", "pool-a *tier=fast"]),
        run("get wpool -l tier=fast")
            .says(&["pool-a *"])
            .never("pool-b"),
        run("get wpool -l 'tier in (fast,slow),!x'").says(&["pool-a *", "pool-b *"]),
        run("get wpool -l tier=none").says(&["No resources found"]),
        run("get wpool --field-selector spec.nodeName=node-2")
            .says(&["pool-b *"])
            .never("pool-a"),
        run("get wpool --field-selector metadata.name!=pool-a")
            .says(&["pool-b *"])
            .never("pool-a"),
        refuse("get wpool --field-selector spec.maxVolumes=1")
            .says(&["*field label not supported: spec.maxVolumes"]),
        run("get wpool --chunk-size=1").says(&["pool-a *", "pool-b *"]),
        run("get wpool -A").says(&["pool-a *"]),
        run("get wpool --no-headers")
            .says(&["pool-a *"])
            .never("NAME"),
        refuse("get wpool nope")
            .says(&["Error from server (NotFound): storagepools.weir.dev \"nope\" not found"]),
        run("get wpool nope --ignore-not-found"),
        refuse("get nopes").says(&["error: the server doesn't have a resource type \"nopes\""]),
        run("get --raw /readyz").says(&["ok"]),
        run("get --raw /apis/weir.dev/v1alpha1/storagepools/pool-a")
            .says(&["*\"nodeName\":\"node-1\"*"]),
    ]
}

/// In words.
pub(super) fn describe() -> Vec<Case> {
    vec![
        run("describe wpool pool-a").says(&[
            "Name: pool-a",
            "Labels: tier=fast",
            "Kind: StoragePool",
            "Node Name: node-1",
            "Events: <none>",
        ]),
        run("describe wpool").says(&["Name: pool-a", "Name: pool-b"]),
        run("explain wpool").only("1.36").says(&[
            "GROUP: weir.dev",
            "KIND: StoragePool",
            "VERSION: v1alpha1",
            "spec <*> -required-",
        ]),
        run("explain wvol.spec.attachments.nodeName")
            .only("1.36")
            .says(&["KIND: Volume", "FIELD: nodeName <string>*"]),
        run("explain lease.spec")
            .only("1.36")
            .says(&["GROUP: coordination.k8s.io", "FIELD: spec <*>"]),
        refuse("explain wvol.spec.bogus").says(&["*field \"bogus\" does not exist"]),
        run("explain wpool").only("1.20").says(&[
            "KIND: StoragePool",
            "VERSION: weir.dev/v1alpha1",
            "metadata <Object>",
            "spec <Object> -required-",
        ]),
        run("explain wvol.spec.attachments.nodeName")
            .only("1.20")
            .says(&["KIND: Volume", "FIELD: nodeName <string>"]),
        run("explain wvol.metadata.labels").says(&["FIELD: labels <map[string]string>*"]),
    ]
}

/// What is there at all, and what one may do.
pub(super) fn ask() -> Vec<Case> {
    vec![
        run("version").says(&["*Server Version: *"]),
        run("api-versions").says(&[
            "weir.dev/v1alpha1",
            "coordination.k8s.io/v1",
            "events.k8s.io/v1",
            "v1",
        ]),
        run("api-resources").says(&[
            "storagepools wpool weir.dev/v1alpha1 false StoragePool",
            "volumes wvol weir.dev/v1alpha1 false Volume",
            "leases coordination.k8s.io/v1 true Lease",
            "namespaces ns v1 false Namespace",
        ]),
        run("api-resources --api-group=weir.dev -o name")
            .says(&["storagepools.weir.dev"])
            .never("leases"),
        run("auth can-i list wpool").says(&["yes"]),
        run("auth can-i '*' '*'").says(&["yes"]),
        run("auth can-i --list").says(&["Resources *"]),
        run("auth whoami").only("1.36").says(&["Username *"]),
        run("cluster-info").says(&["*is running at*https://127.0.0.1:*"]),
    ]
}
