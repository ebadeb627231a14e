//! What a person does next: for each reason, and for each filter of placement.

use weir_api::condition::reason;
use weir_api::names::ObjectName;

/// What a step is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// The kind's short name, as kubectl takes it.
    pub(crate) short: &'static str,
    /// The object's name.
    pub(crate) name: &'a str,
    /// The node whose agent has to do with it, if that is known.
    pub(crate) node: Option<&'a str>,
}

/// What to do about a condition with this reason.
pub(crate) fn of_reason(why: &str, about: About<'_>) -> String {
    let About { short, name, node } = about;
    let node = node.map_or_else(|| "its node".to_owned(), |node| format!("node {node}"));
    match why {
        reason::AGENT_SILENT => format!(
            "on {node}: see whether it runs, whether weir-agent runs there, and what its log says of the API"
        ),
        reason::NODE_DEAD => format!(
            "bring {node} back, and take its taint away; where its disks are lost, restore its volumes from a backup"
        ),
        reason::FOREIGN_CLUSTER => format!(
            "give the agent on {node} the kubeconfig of the cluster that its pool belongs to (`weir-agent status` there says which)"
        ),
        reason::VOLUME_GROUP_MISSING | reason::DEVICE_MISSING => format!(
            "on {node}: `vgs` and `pvs` say what is there; put the disks back, or correct spec.engine: kubectl edit {short} {name}"
        ),
        reason::VOLUME_GROUP_TAKEN | reason::DEVICE_REFUSED => {
            format!("correct spec.engine: kubectl edit {short} {name}")
        }
        reason::NO_PORTAL => "give the pool a portal: kubectl edit wpool, spec.portals".to_owned(),
        reason::PORTAL_UNAVAILABLE => format!(
            "on {node}: `ip address` has to show the portal's address; correct it, or spec.portals of the pool"
        ),
        reason::TARGET_UNAVAILABLE => {
            format!("on {node}: modprobe nvmet-tcp; `weir-agent check` says what else it lacks")
        }
        reason::INVALID_REQUEST
        | reason::IMMUTABLE_FIELD
        | reason::NOT_IMPLEMENTED
        | reason::RESIZE_NOT_SUPPORTED
        | reason::SHRINK_REFUSED => {
            format!("take back what the message names: kubectl edit {short} {name}")
        }
        reason::STALE_GENERATION | reason::UNCLEAN_STOP => {
            format!(
                "attach it with a higher generation than ever before: kubectl edit {short} {name}, spec.attachments"
            )
        }
        reason::ID_IN_USE | reason::NAME_IN_USE => {
            "give one of the two another id or name: it has to be created anew for that".to_owned()
        }
        reason::TOMBSTONE => "weir status says what its tombstone waits for".to_owned(),
        reason::NO_REQUEST => format!("on {node}: weir orphans ls"),
        reason::IN_USE => format!("on {node}: close what the message names"),
        reason::VOLUMES_EXIST => format!("weir drain pool {name}"),
        reason::THIN_POOL_NEARLY_FULL | reason::THIN_POOL_OUT_OF_SPACE => {
            format!(
                "delete volumes, or have their users discard what they don't need (fstrim); or on {node}: lvextend, as the message says"
            )
        }
        reason::THIN_POOL_BROKEN => {
            format!("on {node}: do what the message says, and keep a copy of the disks first")
        }
        reason::NO_SPACE
        | reason::NO_THIN_POOL
        | reason::POOL_UNAVAILABLE
        | reason::POOL_NOT_FOUND => "weir status says how its pool is".to_owned(),
        reason::WRITE_BACK => format!(
            "use disks that keep their cache, or accept the risk: kubectl edit {short} {name}, spec.acceptVolatileWriteCache"
        ),
        reason::STEP_FAILED => {
            format!("it is tried again by itself; if it stays, the agent's log on {node} says more")
        }
        reason::WAITING | reason::ZEROING => "nothing: it goes on by itself".to_owned(),
        _ => format!("do what the message says; kubectl describe {short} {name} shows everything"),
    }
}

/// What to do about the pools that a filter left out.
pub(crate) fn of_filter(filter: &str, examples: &[ObjectName]) -> String {
    let first = examples.first().map_or("NAME", ObjectName::as_str);
    match filter {
        "engine" => "ask for another spec.engine, or add a pool that has it".to_owned(),
        "layout" => "ask for spec.layout linear, or add a pool on two disks or more".to_owned(),
        "nodes" => "correct spec.placement.nodes, or label a node: kubectl label node NAME KEY=VALUE".to_owned(),
        "pools" => format!("correct spec.placement.pools, or label a pool: kubectl label wpool {first} KEY=VALUE"),
        "locality" => "correct spec.placement.locality, add a pool where it is used, or give pools elsewhere portals".to_owned(),
        "schedulable" => format!("weir uncordon pool {first}, or add a pool"),
        "health" => format!("weir status says why {first} is not Ready"),
        "rejected" => "wait: a pool that rejected it is asked again after some minutes; or give it room".to_owned(),
        "antiAffinity" => "add a pool on another node, or take another spec.placement.antiAffinityKey".to_owned(),
        "maxVolumes" => format!("raise spec.maxVolumes: kubectl edit wpool {first}; or add a pool"),
        "maxRemoteVolumes" => format!("raise spec.maxRemoteVolumes: kubectl edit wpool {first}; or add a pool"),
        "thinPool" => format!("weir status says how full that of {first} is, and what to do; or add a pool"),
        "capacity" => "ask for less, delete what nobody needs, or add a pool".to_owned(),
        _ => "weir status says how the pools are".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every filter that the controller has (its names are in objects, so they stay).
    #[test]
    fn every_filter_has_a_step_of_its_own() {
        let filters = [
            "engine",
            "layout",
            "nodes",
            "pools",
            "locality",
            "schedulable",
            "health",
            "rejected",
            "antiAffinity",
            "maxVolumes",
            "maxRemoteVolumes",
            "thinPool",
            "capacity",
        ];
        let examples = ["fast".parse().unwrap()];
        let mut steps = filters.map(|filter| of_filter(filter, &examples));
        let unknown = of_filter("ofALaterVersion", &examples);
        assert!(!steps.contains(&unknown));
        steps.sort();
        assert!(steps.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_step_names_its_node_and_object() {
        let about = About {
            short: "wpool",
            name: "fast",
            node: Some("storage-1"),
        };
        assert!(of_reason(reason::AGENT_SILENT, about).contains("node storage-1"));
        assert!(of_reason(reason::DEVICE_REFUSED, about).contains("kubectl edit wpool fast"));
        assert!(of_reason("OfALaterVersion", about).contains("kubectl describe wpool fast"));
    }
}
