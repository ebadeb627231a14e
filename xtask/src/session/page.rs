//! The page: what is said, and what is done.

use super::Part::{self, Meanwhile, Shell, Text};

/// In order.
pub(super) const PARTS: &[Part] = &[
    Text(
        "# The API on one machine\n\n\
         `weir-controller --standalone DIR` serves the subset of the Kubernetes API that Weir's components, the `kube`\n\
         client and `kubectl` use, out of one directory, with no cluster. Everything that it acknowledges is on disk.\n\n\
         <!-- Written by `cargo xtask session`: each command was run, and its output is what it wrote, with stand-ins for\n\
         times, ages and UIDs. Change it in xtask/src/session/page.rs. -->\n\n\
         ```\n\
         $ weir-controller --standalone /var/lib/weir --api-only &\n\
         $ export KUBECONFIG=/var/lib/weir/admin.kubeconfig\n\
         ```\n\n\
         Without `--api-only` it is the controller as well, which chooses a pool for each volume. Here a person does, so that\n\
         each step can be seen.\n\n\
         `weir-controller --help` tells how agents on other machines get a kubeconfig of their own. `kubectl` 1.20 and\n\
         1.36 are tested; this is 1.36.\n\n\
         | port | what | who gets in |\n\
         |---|---|---|\n\
         | 6443 (`--listen`) | the API | whoever shows a certificate of the authority in `DIR`, for what its name may do |\n\
         | 6444, or one above `--listen` (`--telemetry`) | what agents measured, while this controller leads | agents, each with the \
         certificate of its kubeconfig, for its own node |\n\
         | none, unless `--metrics` says one | the controller's metrics ([METRICS.md](../controller/METRICS.md)) | everybody: plain HTTP |\n\n\
         The telemetry port's own certificate is made when a controller begins to lead. Agents know it by the Lease\n\
         `default/weir-controller`, and need nothing but their kubeconfig. A second controller (`--kubeconfig`) takes telemetry only if\n\
         `--telemetry` says where.\n\n\
         ## A pool\n\n",
    ),
    Shell(
        "kubectl get wpool\n\
         kubectl apply -f deploy/samples/pool.yaml\n\
         kubectl get wpool",
    ),
    Text(
        "\nThe agent of its node makes the pool and says so in its status. Where no agent runs, somebody else can say it\n\
         (who may write what is decided by the client's certificate):\n\n",
    ),
    Shell(
        "kubectl wait --for=condition=Ready wpool/storage-1-fast --timeout=1s\n\
         kubectl patch wpool storage-1-fast --subresource=status --type=merge -p '{\"status\":{\"capacityBytes\":1920383410176,\
         \"freeBytes\":1812939048960,\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"Ok\",\
         \"message\":\"\",\"lastTransitionTime\":\"2026-11-22T09:00:00Z\"}]}}'\n\
         kubectl wait --for=condition=Ready wpool/storage-1-fast --timeout=30s\n\
         kubectl get wpool -o wide",
    ),
    Text("\n## A volume, watched\n\n"),
    Shell("kubectl apply -f deploy/samples/volume.yaml"),
    Text("\nOne terminal watches; in another one, the volume is placed and becomes ready:\n\n"),
    Meanwhile {
        command: "kubectl get wvol -w",
        others: "kubectl patch wvol pg-data --type=merge -p '{\"spec\":{\"poolName\":\"storage-1-fast\"}}'\n\
                 kubectl patch wvol pg-data --subresource=status --type=merge -p \
                 '{\"status\":{\"phase\":\"Ready\",\"nodeName\":\"storage-1\"}}'\n\
                 kubectl wait --for=jsonpath='{.status.phase}'=Ready wvol/pg-data",
        until: "Ready",
    },
    Text("\nIt is described as anything is:\n\n"),
    Shell("kubectl describe wvol pg-data"),
    Text("\nand each field is explained:\n\n"),
    Shell("kubectl explain wvol.spec.placement.locality"),
    Text(
        "\n## Changes\n\nIt grows by being edited (`sed` is the editor here). It doesn't shrink, and is still what it was:\n\n",
    ),
    Shell(
        "KUBE_EDITOR=\"sed -i 's/capacityBytes:.*/capacityBytes: 42949672960/'\" kubectl edit wvol pg-data\n\
         kubectl get wvol pg-data\n\
         kubectl patch wvol pg-data --type=merge -p '{\"spec\":{\"capacityBytes\":1}}'\n\
         kubectl patch wvol pg-data --type=merge -p '{\"spec\":{\"engine\":\"tape\"}}'\n\
         kubectl get wvol -l 'tier notin (slow)' --field-selector spec.poolName=storage-1-fast",
    ),
    Text("\n## The end\n\n"),
    Shell(
        "kubectl delete -f deploy/samples/volume.yaml\n\
         kubectl delete wpool --all\n\
         kubectl get weir",
    ),
    Text(
        "\n## When the store is lost\n\n\
         Agents go on serving. A directory that was restored from a copy lacks the volumes that were made since; one that was emptied lacks\n\
         everything, and is another cluster to every agent, which then heeds nothing of it until a person says so on its node:\n\n\
         ```\n\
         kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'\n\
         weir cluster accept 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90    # on each storage node, with that UID\n\
         weir orphans adopt --pool fast                              # there too, for its pools; or give the agent --pools\n\
         weir orphans adopt --all --api                              # once: objects for all volumes that have none\n\
         ```\n\n\
         Bring the pools of all nodes back before volumes: what a node holds that has no StoragePool object nobody can see. A\n\
         volume that is applied again without `spec.poolName` goes to the pool that holds it; it waits while any pool has not told yet. A volume that was\n\
         deleted after the copy was made has its object again and says `DataMissing`: delete that object.\n\n\
         If the API in the lost one's place is not empty, look at it first: with `weir cluster accept` what it asks for is an order, volumes that\n\
         are being deleted and tombstones (`kubectl get wtomb`) included. A volume of it that has the name of one that a node holds is in\n\
         the way of `weir orphans adopt`, and not made itself.\n",
    ),
];
