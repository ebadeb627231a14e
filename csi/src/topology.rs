//! Where volumes can be used: places of the interface, which here are nodes.

use weir_api::crd::{Locality, StoragePool};
use weir_api::names::NodeName;

use crate::failure::Failure;
use crate::proto::{Topology, TopologyRequirement};

/// The segment by which a place is told: a node's name.
pub const NODE: &str = "csi.weir.dev/node";

/// The place of a node.
#[must_use]
pub fn of(node: &NodeName) -> Topology {
    Topology {
        segments: [(NODE.to_owned(), node.to_string())].into(),
    }
}

/// The node of a place.
///
/// # Errors
/// It has other segments, or none.
pub fn node(place: &Topology) -> Result<NodeName, Failure> {
    let wrong = || {
        let found: Vec<&String> = place.segments.keys().collect();
        Failure::Invalid(format!(
            "a place of ours has the segment {NODE} alone, not {found:?}"
        ))
    };
    let name = place
        .segments
        .get(NODE)
        .filter(|_| place.segments.len() == 1);
    let name = name.ok_or_else(wrong)?;
    name.parse::<NodeName>()
        .map_err(|error| Failure::Invalid(format!("{NODE}: {error}")))
}

/// From where a volume has to be usable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// From one of these at least; empty: it was not said.
    pub requisite: Vec<NodeName>,
    /// Better from these, the earlier the better.
    pub preferred: Vec<NodeName>,
}

impl Reach {
    /// What a request says.
    ///
    /// # Errors
    /// It names places that are none of ours, or prefers some that it does not admit.
    pub fn of(requirement: Option<&TopologyRequirement>) -> Result<Self, Failure> {
        let Some(requirement) = requirement else {
            return Ok(Reach::default());
        };
        let nodes = |places: &[Topology]| places.iter().map(node).collect::<Result<Vec<_>, _>>();
        let (requisite, preferred) = (
            nodes(&requirement.requisite)?,
            nodes(&requirement.preferred)?,
        );
        let stray = preferred
            .iter()
            .find(|node| !requisite.is_empty() && !requisite.contains(node));
        if let Some(stray) = stray {
            let message = format!(
                "accessibility_requirements: node `{stray}` is preferred and not among the requisite"
            );
            return Err(Failure::Invalid(message));
        }
        Ok(Reach {
            requisite,
            preferred,
        })
    }

    /// The node that will use the volume, as far as can be told.
    ///
    /// With `WaitForFirstConsumer` that is the first preferred one, and with the provisioner's `--strict-topology` the only one.
    /// With `Immediate` nobody knows, and `--immediate-topology=false` says so: without that the provisioner prefers some node by a hash.
    #[must_use]
    pub fn consumer(&self, locality: Locality) -> Option<NodeName> {
        let is_bound = matches!(locality, Locality::MustLocal | Locality::MustRemote);
        let first = self.requisite.first();
        let first = first.filter(|_| is_bound || self.requisite.len() == 1);
        self.preferred.first().or(first).cloned()
    }

    /// Whether a volume that is only usable on a node will do.
    #[must_use]
    pub fn admits(&self, node: &NodeName) -> bool {
        self.requisite.is_empty() || self.requisite.contains(node)
    }
}

/// Where a volume in a pool can be used: on one node, or (none) on every node that runs the plugin.
#[must_use]
pub fn pinned(locality: Locality, pool: &StoragePool) -> Option<NodeName> {
    let is_pinned = locality == Locality::MustLocal || pool.spec.portals.is_empty();
    is_pinned.then(|| pool.spec.node_name.clone())
}

/// Whether a volume of this locality in a pool could be used on a node.
#[must_use]
pub fn serves(pool: &StoragePool, locality: Locality, node: &NodeName) -> bool {
    let (is_here, has_portals) = (pool.spec.node_name == *node, !pool.spec.portals.is_empty());
    match locality {
        Locality::MustLocal => is_here,
        Locality::MustRemote => !is_here && has_portals,
        _ => is_here || has_portals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(requisite: &[&str], preferred: &[&str]) -> Result<Reach, Failure> {
        let places = |names: &[&str]| {
            names
                .iter()
                .map(|name| of(&name.parse().unwrap()))
                .collect()
        };
        Reach::of(Some(&TopologyRequirement {
            requisite: places(requisite),
            preferred: places(preferred),
        }))
    }

    /// Rows: requisite, preferred, the consumer of a volume that must be local, that of one that floats.
    #[test]
    fn the_consumer_is_who_was_named_first() {
        for (requisite, preferred, must, floats) in [
            (&[][..], &[][..], None, None),
            // WaitForFirstConsumer with --strict-topology.
            (&["a"], &["a"], Some("a"), Some("a")),
            (&["a"], &[], Some("a"), Some("a")),
            // Without it: all nodes, the selected one first.
            (&["a", "b", "c"], &["b", "c", "a"], Some("b"), Some("b")),
            // Immediate: anywhere.
            (&["a", "b"], &[], Some("a"), None),
            (&[], &["b"], Some("b"), Some("b")),
        ] {
            let reach = reach(requisite, preferred).unwrap();
            let consumer = |locality| reach.consumer(locality).map(|node| node.to_string());
            assert_eq!(consumer(Locality::MustLocal).as_deref(), must, "{reach:?}");
            assert_eq!(
                consumer(Locality::PreferLocal).as_deref(),
                floats,
                "{reach:?}"
            );
        }
        assert_eq!(Reach::of(None).unwrap(), Reach::default());
    }

    #[test]
    fn what_is_no_place_of_ours_is_refused() {
        assert!(reach(&["a"], &["b"]).is_err());
        for segments in [
            vec![],
            vec![("topology.kubernetes.io/zone", "a")],
            vec![(NODE, "a"), ("topology.kubernetes.io/zone", "a")],
            vec![(NODE, "A_b")],
        ] {
            let segments = segments
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()));
            let place = Topology {
                segments: segments.collect(),
            };
            assert!(node(&place).is_err(), "{place:?}");
        }
    }
}
