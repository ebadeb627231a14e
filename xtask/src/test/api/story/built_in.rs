//! What Kubernetes has itself and Weir uses: namespaces, nodes, leases, events.

use super::manifests::{EVENT, LEASE, NODE};
use crate::test::api::case::{Case, refuse, run};

/// Each of them made, looked at, and all but the event deleted.
pub(super) fn built_in() -> Vec<Case> {
    vec![
        run("create -f -")
            .with(LEASE)
            .says(&["lease.coordination.k8s.io/weir-controller created"]),
        run("get leases").says(&["NAME HOLDER AGE", "weir-controller ctl-0 *"]),
        run("get leases -A").says(&[
            "NAMESPACE NAME HOLDER AGE",
            "default weir-controller ctl-0 *",
        ]),
        run("get lease weir-controller -o jsonpath={.spec.renewTime}")
            .says(&["2026-11-22T09:00:00.123456Z"]),
        run("describe lease weir-controller")
            .says(&["Name: weir-controller", "Holder Identity: ctl-0"]),
        run("delete lease weir-controller")
            .says(&["lease.coordination.k8s.io \"weir-controller\" deleted*"]),
        run("create -f -").with(NODE).says(&["node/node-1 created"]),
        run("get nodes").says(&["NAME STATUS ROLES AGE VERSION", "node-1 Unknown <none> *"]),
        run("label node node-1 rack=7").says(&["node/node-1 labeled"]),
        run("describe node node-1").says(&["Name: node-1"]),
        run("delete node node-1").says(&["node \"node-1\" deleted"]),
        run("create namespace weir-test").says(&["namespace/weir-test created"]),
        run("get ns").says(&["NAME STATUS AGE", "default Active *", "weir-test Active *"]),
        run("describe ns default").says(&["Name: default", "Status: Active"]),
        run("-n weir-test get events").says(&["No resources found in weir-test namespace."]),
        run("delete ns weir-test")
            .ours()
            .says(&["namespace \"weir-test\" deleted"]),
        refuse("get ns nope")
            .says(&["Error from server (NotFound): namespaces \"nope\" not found"]),
        run("get wpool pool-a -o jsonpath={.metadata.uid}").keep("pool"),
        run("create -f -")
            .with(EVENT)
            .says(&["event/pool-a.1 created"]),
        run("get events").says(&[
            "LAST SEEN TYPE REASON OBJECT MESSAGE",
            "* Normal PoolReady storagepool/pool-a the pool is ready",
        ]),
        run("get events -o wide").says(&["*weir-agent, node-1*"]),
        run("get events --field-selector involvedObject.name=pool-a").says(&["*PoolReady*"]),
        run("get events --field-selector involvedObject.name=pool-b")
            .says(&["No resources found in default namespace."]),
        run("get events --sort-by=.lastTimestamp").says(&["*PoolReady*"]),
        run("events --for storagepool/pool-a")
            .only("1.36")
            .says(&["* Normal PoolReady StoragePool/pool-a the pool is ready"]),
        run("describe wpool pool-a").says(&[
            "Type Reason Age From Message",
            "Normal PoolReady * weir-agent* the pool is ready",
        ]),
        run("delete events --all").says(&["event \"pool-a.1\" deleted*"]),
    ]
}
