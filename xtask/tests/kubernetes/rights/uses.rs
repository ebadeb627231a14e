//! What programs ask of the API, as data.

/// Something that a program of ours asks of the API.
pub(super) struct Use {
    /// Whose ServiceAccount.
    pub(super) who: &'static str,
    /// The namespace; empty: the cluster's.
    pub(super) namespace: &'static str,
    pub(super) verbs: &'static [&'static str],
    pub(super) group: &'static str,
    pub(super) resources: &'static [&'static str],
    /// One object; empty: any.
    pub(super) name: &'static str,
    /// Where it does so: a file, and what is to be found there.
    pub(super) place: (&'static str, &'static str),
}

const fn of(
    who: &'static str,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
    place: (&'static str, &'static str),
) -> Use {
    Use {
        who,
        namespace: "",
        verbs,
        group,
        resources,
        name: "",
        place,
    }
}

const fn within(namespace: &'static str, name: &'static str, what: Use) -> Use {
    Use {
        namespace,
        name,
        ..what
    }
}

const WEIR: &str = "weir.dev";
pub(super) const LEASES: &str = "coordination.k8s.io";
pub(super) const CONTROLLER: &str = "weir-controller";
pub(super) const AGENT: &str = "weir-agent";
pub(super) const CSI: &str = "weir-csi-controller";
pub(super) const NODE: &str = "weir-csi-node";

/// All that our programs do.
pub(super) const USES: &[Use] = &[
    of(
        CONTROLLER,
        &["list", "watch"],
        WEIR,
        &[
            "snapshots",
            "storagepools",
            "tombstones",
            "volumemigrations",
            "volumes",
            "volumesets",
        ],
        ("controller/src/control/watching.rs", "watcher(api, config)"),
    ),
    of(
        CONTROLLER,
        &["list", "watch"],
        "",
        &["nodes"],
        ("controller/src/control/watching.rs", "Sight::Node"),
    ),
    of(
        CONTROLLER,
        &["get"],
        WEIR,
        &["volumes"],
        (
            "controller/src/control/write.rs",
            "volumes.get_opt(volume.as_str())",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &["volumes"],
        (
            "controller/src/control/write.rs",
            "api.patch(name, &how, &patch)",
        ),
    ),
    of(
        CONTROLLER,
        &["create"],
        WEIR,
        &["tombstones"],
        (
            "controller/src/control/write.rs",
            "api.create(&PostParams::default(), tombstone)",
        ),
    ),
    of(
        CONTROLLER,
        &["delete"],
        WEIR,
        &["tombstones"],
        (
            "controller/src/control/write.rs",
            "api.delete(name, &params)",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &["storagepools/status"],
        (
            "controller/src/control/leader/pools.rs",
            "Write::status(Key::Pool",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &["volumes/status"],
        (
            "controller/src/control/leader/volumes.rs",
            "Write::status(key",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &[
            "snapshots/status",
            "volumemigrations/status",
            "volumesets/status",
        ],
        (
            "controller/src/control/leader/unserved.rs",
            "Write::status(key",
        ),
    ),
    of(
        CONTROLLER,
        &["create"],
        "authentication.k8s.io",
        &["tokenreviews"],
        (
            "controller/src/telemetry/tokens.rs",
            "self.api.create(&PostParams::default(), &review)",
        ),
    ),
    within(
        "weir-agents",
        "",
        of(
            CONTROLLER,
            &["list", "watch"],
            LEASES,
            &["leases"],
            (
                "controller/src/control/watching.rs",
                "namespaced(all(), LEASE_NAMESPACE)",
            ),
        ),
    ),
    within(
        "default",
        "weir-controller",
        of(
            CONTROLLER,
            &["get"],
            LEASES,
            &["leases"],
            (
                "controller/src/control/election.rs",
                "self.api.get_opt(NAME)",
            ),
        ),
    ),
    within(
        "default",
        "weir-controller",
        of(
            CONTROLLER,
            &["update"],
            LEASES,
            &["leases"],
            (
                "controller/src/control/election.rs",
                "self.api.replace(NAME",
            ),
        ),
    ),
    within(
        "default",
        "",
        of(
            CONTROLLER,
            &["create"],
            LEASES,
            &["leases"],
            ("controller/src/control/election.rs", "self.api.create("),
        ),
    ),
    within(
        "default",
        "",
        of(
            CONTROLLER,
            &["create"],
            "events.k8s.io",
            &["events"],
            (
                "controller/src/control/event.rs",
                "api.create(&PostParams::default(), &event)",
            ),
        ),
    ),
    of(
        AGENT,
        &["list", "watch"],
        WEIR,
        &["storagepools", "tombstones", "volumes"],
        ("agent/src/join/follow.rs", "api.watch(&params, &version)"),
    ),
    of(
        AGENT,
        &["get"],
        WEIR,
        &["storagepools", "tombstones", "volumes"],
        ("agent/src/join/tell.rs", "api.get(name)"),
    ),
    of(
        AGENT,
        &["patch"],
        WEIR,
        &["storagepools/status", "tombstones/status", "volumes/status"],
        ("agent/src/join/tell.rs", "api.patch_status(name"),
    ),
    of(
        AGENT,
        &["create"],
        WEIR,
        &["storagepools"],
        (
            "agent/src/join/register.rs",
            "pools.create(&params, &object)",
        ),
    ),
    Use {
        name: "kube-system",
        ..of(
            AGENT,
            &["get"],
            "",
            &["namespaces"],
            ("agent/src/join/follow.rs", "Api<Namespace>"),
        )
    },
    within(
        "weir-agents",
        "",
        of(
            AGENT,
            &["patch"],
            LEASES,
            &["leases"],
            ("agent/src/join/lease.rs", "leases.patch(name"),
        ),
    ),
    within(
        "weir-agents",
        "",
        of(
            AGENT,
            &["create"],
            LEASES,
            &["leases"],
            ("agent/src/join/lease.rs", "leases.create(&params"),
        ),
    ),
    within(
        "default",
        "weir-controller",
        of(
            AGENT,
            &["get"],
            LEASES,
            &["leases"],
            (
                "agent/src/join/leader.rs",
                "leases.get_opt(CONTROLLER_LEASE)",
            ),
        ),
    ),
    of(
        CSI,
        &["get"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "get(&self.volumes()"),
    ),
    of(
        CSI,
        &["create"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.create(&how, &volume)"),
    ),
    of(
        CSI,
        &["patch"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.patch(name(volume)"),
    ),
    of(
        CSI,
        &["delete"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.delete(name(volume)"),
    ),
    of(
        CSI,
        &["list", "watch"],
        WEIR,
        &["volumes"],
        (
            "csi/src/objects/live.rs",
            "watcher::watch_object(self.volumes()",
        ),
    ),
    of(
        CSI,
        &["list"],
        WEIR,
        &["storagepools"],
        ("csi/src/objects/live.rs", "let api: Api<StoragePool>"),
    ),
    of(
        CSI,
        &["get"],
        WEIR,
        &["storagepools"],
        (
            "csi/src/objects/live.rs",
            "get(&Api::all(self.0.clone()), name.as_str())",
        ),
    ),
    of(
        CSI,
        &["get"],
        "",
        &["nodes"],
        ("csi/src/objects/live.rs", "get(&nodes, name.as_str())"),
    ),
    within(
        "weir-agents",
        "",
        of(
            CSI,
            &["get"],
            LEASES,
            &["leases"],
            ("csi/src/objects/live.rs", "get(&leases"),
        ),
    ),
    of(
        NODE,
        &["get"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "get(&self.volumes()"),
    ),
    of(
        NODE,
        &["patch"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.patch(name(volume)"),
    ),
    of(
        NODE,
        &["list"],
        WEIR,
        &["storagepools"],
        ("csi/src/objects/live.rs", "api.list(&ListParams::default()"),
    ),
];

const READ: &[&str] = &["get", "list", "watch"];

/// What the stock sidecars do: `deploy/kubernetes/rbac.yaml` of the versions that `flags` names, less secrets and snapshots, which no
/// class of ours has, and less the pods that a resizer watches unless it is told not to.
pub(super) const SIDECARS: &[(&str, &[&str], &str, &[&str])] = &[
    // provisioner
    (
        "",
        &["get", "list", "watch", "create", "patch", "delete"],
        "",
        &["persistentvolumes"],
    ),
    (
        "",
        &["get", "list", "watch", "update"],
        "",
        &["persistentvolumeclaims"],
    ),
    (
        "",
        READ,
        "storage.k8s.io",
        &["csinodes", "storageclasses", "volumeattachments"],
    ),
    (
        "",
        &["list", "watch", "create", "update", "patch"],
        "",
        &["events"],
    ),
    ("", READ, "", &["nodes"]),
    (
        "weir-system",
        &["get", "watch", "list", "delete", "update", "create"],
        LEASES,
        &["leases"],
    ),
    (
        "weir-system",
        &[
            "get", "list", "watch", "create", "update", "patch", "delete",
        ],
        "storage.k8s.io",
        &["csistoragecapacities"],
    ),
    ("weir-system", &["get"], "", &["pods"]),
    ("weir-system", &["get"], "apps", &["replicasets"]),
    // attacher
    (
        "",
        &["get", "list", "watch", "patch"],
        "",
        &["persistentvolumes"],
    ),
    (
        "",
        &["get", "list", "watch", "patch"],
        "storage.k8s.io",
        &["volumeattachments"],
    ),
    (
        "",
        &["patch"],
        "storage.k8s.io",
        &["volumeattachments/status"],
    ),
    // resizer
    ("", &["patch"], "", &["persistentvolumeclaims/status"]),
    ("", READ, "storage.k8s.io", &["volumeattributesclasses"]),
];
