//! Every name that leaves this process, made in one place from a volume's id or a node's name.
//!
//! Identity follows the volume's id, never its object name: an object that is deleted and created
//! again under the same name is another volume, and a restored object claims its data again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

/// API group and version of every object.
pub const API_VERSION: &str = "weir.dev/v1alpha1";

/// The finalizer of a Volume that was bound to a pool: the object stays until its data is gone.
pub const FINALIZER: &str = "weir.dev/data";

/// The first part of every NQN of Weir's: the year and month of its naming authority.
pub const NQN_PREFIX: &str = "nqn.2026-11.dev.weir:";

/// The model number that a volume's subsystem reports.
pub const MODEL: &str = "Weir";

/// The longest name that is a DNS subdomain.
const LONGEST_SUBDOMAIN: usize = 253;

/// A node name longer than this is replaced by a hash of it in NQNs, which are limited to 223 bytes.
const LONGEST_NODE_IN_NQN: usize = 100;

/// A name that is not allowed where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Neither letters, digits, `-` (and, in node names, `.`), or too long.
    #[error("`{name}` is not a {what}: {rule}")]
    Malformed {
        /// What was to be named.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
}

/// A volume's identity: NVMe namespace UUID and NGUID, part of its NQN, name and tag of its LV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeId(pub Uuid);

impl VolumeId {
    /// The logical volume's name. LVM reserves names that begin with `snapshot` or `pvmove`, and
    /// object names may be reused: the id is neither.
    #[must_use]
    pub fn lv_name(&self) -> String {
        format!("w_{}", self.0.simple())
    }

    /// The NQN of the subsystem that exports a single-host volume.
    #[must_use]
    pub fn nqn(&self) -> String {
        format!("{NQN_PREFIX}{}", self.0)
    }

    /// The NQN of the subsystem that exports a multi-host volume to one node.
    #[must_use]
    pub fn nqn_for(&self, node: &NodeName) -> String {
        format!("{NQN_PREFIX}{}:{}", self.0, node_in_nqn(node))
    }

    /// The volume whose subsystem has this NQN, if it is one of Weir's volumes.
    #[must_use]
    pub fn from_nqn(nqn: &str) -> Option<Self> {
        let rest = nqn.strip_prefix(NQN_PREFIX)?;
        let (id, node) = rest.split_once(':').unwrap_or((rest, "n"));
        Uuid::try_parse(id)
            .ok()
            .map(VolumeId)
            .filter(|v| v.0.to_string() == id && !node.is_empty())
    }

    /// The device mapping through which one grant of a multi-host volume does its I/O. A new grant
    /// has a new one: what was cut off never carries another's I/O.
    #[must_use]
    pub fn mapping(&self, node: &NodeName, generation: Generation) -> MappingName {
        let node = hex_of_hash(node.as_str().as_bytes(), 16);
        MappingName(format!("{}-{node}-{generation}", self.0.simple()))
    }

    /// The volume whose LV has this name, if it is one of Weir's.
    #[must_use]
    pub fn from_lv_name(name: &str) -> Option<Self> {
        let id = name.strip_prefix("w_")?;
        Uuid::try_parse(id)
            .ok()
            .map(VolumeId)
            .filter(|v| v.0.simple().to_string() == id)
    }

    /// The name of the tombstone that orders what a pool holds of the volume to be destroyed: whoever writes it twice
    /// writes one object.
    #[must_use]
    pub fn tombstone(&self, pool: &ObjectName) -> String {
        format!("{}-{}", self.0, hex_of_hash(pool.as_str().as_bytes(), 16))
    }

    /// The serial number: 20 hex digits (all that NVMe's Identify Controller has room for) of the
    /// SHA-256 of the id, since a prefix of the id itself need not be unique.
    #[must_use]
    pub fn serial(&self) -> String {
        hex_of_hash(self.0.as_bytes(), 20)
    }
}

/// A device mapping of Weir's, `<id>-<hash of the node>-<generation>`, as part of its name and of its
/// UUID in device mapper.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingName(String);

/// How the device mapper UUIDs of Weir's mappings begin.
const MAPPING_UUID: &str = "WEIR-";

impl MappingName {
    /// The mapping whose device mapper UUID this is, if it is one of Weir's.
    #[must_use]
    pub fn from_dm_uuid(uuid: &str) -> Option<Self> {
        let name = MappingName(uuid.strip_prefix(MAPPING_UUID)?.to_owned());
        let mut parts = name.0.splitn(3, '-').skip(1);
        let is_hash = |part: &str| part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let is_whole = parts.next().is_some_and(is_hash)
            && parts.next().is_some_and(|part| part.parse::<u64>().is_ok());
        (is_whole && name.volume().is_some()).then_some(name)
    }

    /// The name of the device: where it is below `/dev/mapper`.
    #[must_use]
    pub fn dm_name(&self) -> String {
        format!("weir-{}", self.0)
    }

    /// The UUID by which device mapper knows it. udev rules and people tell by its beginning whose it
    /// is.
    #[must_use]
    pub fn dm_uuid(&self) -> String {
        format!("{MAPPING_UUID}{}", self.0)
    }

    /// Its device.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/dev/mapper/{}", self.dm_name())
    }

    /// The volume it is of.
    #[must_use]
    pub fn volume(&self) -> Option<VolumeId> {
        let id = self.0.split('-').next()?;
        Uuid::try_parse(id)
            .ok()
            .map(VolumeId)
            .filter(|v| v.0.simple().to_string() == id)
    }
}

impl fmt::Display for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.dm_name())
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An object's name: a DNS label of at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName(String);

/// A node's name: a DNS subdomain of at most 253 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// A volume group's name, as LVM allows it and as a path component is safe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VgName(String);

impl FromStr for ObjectName {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Self, NameError> {
        if is_dns_label(name) {
            return Ok(ObjectName(name.to_owned()));
        }
        Err(NameError::Malformed {
            what: "object name",
            name: name.to_owned(),
            rule: "at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
        })
    }
}

impl FromStr for NodeName {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.len() <= LONGEST_SUBDOMAIN && name.split('.').all(is_dns_label) {
            return Ok(NodeName(name.to_owned()));
        }
        Err(NameError::Malformed {
            what: "node name",
            name: name.to_owned(),
            rule: "dot-separated DNS labels, at most 253 characters together",
        })
    }
}

impl FromStr for VgName {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
        let ok = !name.is_empty()
            && name.len() <= 127
            && name.chars().all(allowed)
            && !name.starts_with(['-', '.']);
        if ok {
            return Ok(VgName(name.to_owned()));
        }
        Err(NameError::Malformed {
            what: "volume group name",
            name: name.to_owned(),
            rule: "at most 127 of letters, digits, `+`, `_`, `.`, `-`, not beginning with `-` or `.`",
        })
    }
}

macro_rules! string_name {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                name.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    )*};
}
string_name!(ObjectName, NodeName, VgName);

/// How many times a volume was granted to a node. A generation is never allowed again, so that a
/// host that was cut off and comes back can't replay queued writes over its successor's data.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The NQN with which `node` connects to what was granted to it as `generation`.
#[must_use]
pub fn host_nqn(node: &NodeName, generation: Generation) -> String {
    format!("{NQN_PREFIX}host:{}:{generation}", node_in_nqn(node))
}

fn node_in_nqn(node: &NodeName) -> String {
    let node = node.as_str();
    if node.len() <= LONGEST_NODE_IN_NQN {
        node.to_owned()
    } else {
        hex_of_hash(node.as_bytes(), 64)
    }
}

/// The node and the generation that a host NQN of Weir's names; `None` for others, and where the node's
/// name was too long to be in it.
#[must_use]
pub fn parse_host_nqn(nqn: &str) -> Option<(NodeName, Generation)> {
    let (node, generation) = nqn
        .strip_prefix(NQN_PREFIX)?
        .strip_prefix("host:")?
        .rsplit_once(':')?;
    let (node, generation) = (node.parse().ok()?, Generation(generation.parse().ok()?));
    (host_nqn(&node, generation) == nqn).then_some((node, generation))
}

/// The host id that belongs to a host NQN: its UUIDv5 in the namespace of ISO object
/// identifiers, as `nvmet` makes it too. Kernels from 6.12 on refuse a connect whose host NQN and
/// host id don't belong together.
#[must_use]
pub fn host_id(host_nqn: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, host_nqn.as_bytes())
}

/// The namespace of the Leases by which agents say that they are alive: nobody else has any there. Kubelets have
/// theirs, called as their nodes are, in `kube-node-lease`, where no other name would be certain to be free.
pub const LEASE_NAMESPACE: &str = "weir-agents";

/// The Lease whose holder is the controller that leads.
pub const CONTROLLER_LEASE: &str = "weir-controller";
/// The namespace of that Lease.
pub const CONTROLLER_NAMESPACE: &str = "default";

/// The annotation of a Volume that says how far its file system is: the one thing about a Volume that a node which uses it writes.
pub const FILE_SYSTEM: &str = "csi.weir.dev/filesystem";

/// The label and annotation of a Volume that name the claim it was made for. A label's value has at most 63 characters, so that
/// a longer name ends in a hash there; the annotation has it in full. So with the two below.
pub const CLAIM: &str = "weir.dev/persistentvolumeclaim";
/// The namespace of that claim.
pub const NAMESPACE: &str = "weir.dev/namespace";
/// The PersistentVolume.
pub const PERSISTENT_VOLUME: &str = "weir.dev/persistentvolume";

impl NodeName {
    /// The Lease of this node's agent, in [`LEASE_NAMESPACE`]: it is called as the node is.
    #[must_use]
    pub fn agent_lease(&self) -> &str {
        &self.0
    }
}

fn is_dns_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn hex_of_hash(data: &[u8], digits: usize) -> String {
    let hash = Sha256::digest(data);
    let mut hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> VolumeId {
        VolumeId(Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0))
    }

    #[test]
    fn an_id_gives_stable_names() {
        assert_eq!(id().lv_name(), "w_123456789abcdef0123456789abcdef0");
        assert_eq!(
            id().nqn(),
            "nqn.2026-11.dev.weir:12345678-9abc-def0-1234-56789abcdef0"
        );
        assert_eq!(id().serial().len(), 20);
        let long: ObjectName = "p".repeat(63).parse().unwrap();
        for pool in [&"fast".parse().unwrap(), &long] {
            assert!(id().tombstone(pool).parse::<ObjectName>().is_ok());
        }
        assert_ne!(
            id().tombstone(&"fast".parse().unwrap()),
            id().tombstone(&long)
        );
        assert_eq!(VolumeId::from_lv_name(&id().lv_name()), Some(id()));
        assert_eq!(VolumeId::from_nqn(&id().nqn()), Some(id()));
        let node = "app-1".parse().unwrap();
        assert_eq!(VolumeId::from_nqn(&id().nqn_for(&node)), Some(id()));
        let mapping = id().mapping(&node, Generation(u64::MAX));
        // Names in device mapper have at most 127 bytes (DM_NAME_LEN, include/uapi/linux/dm-ioctl.h).
        assert!(mapping.dm_name().len() <= 127 && mapping.dm_uuid().len() <= 128);
        let read = MappingName::from_dm_uuid(&mapping.dm_uuid());
        assert_eq!(read, Some(mapping.clone()));
        assert_eq!(mapping.volume(), Some(id()));
    }

    #[test]
    fn foreign_names_are_not_ours() {
        for name in [
            "root",
            "w_",
            "w_xyz",
            "w_123456789ABCDEF0123456789ABCDEF0",
            "snapshot1",
        ] {
            assert_eq!(VolumeId::from_lv_name(name), None, "{name}");
        }
        for nqn in [
            "nqn.2014-08.org.nvmexpress.discovery",
            "nqn.2026-11.dev.weir:host:a:1",
        ] {
            assert_eq!(VolumeId::from_nqn(nqn), None, "{nqn}");
        }
    }

    #[test]
    fn a_long_node_name_is_hashed_in_nqns() {
        let long = ["a".repeat(60), "b".repeat(60)].join(".");
        let nqn = host_nqn(&long.parse().unwrap(), Generation(u64::MAX));
        assert!(nqn.len() <= 223, "{nqn}");
        assert!(!nqn.contains("aaa"));
    }

    #[test]
    fn names_that_could_escape_are_refused() {
        for bad in [
            "",
            "..",
            "a/b",
            "A",
            "-a",
            "a-",
            "a b",
            "a\n",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad:?}");
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?}");
        }
        for bad in ["", ".", "..", "a/b", "-x", "a b", "vg\0"] {
            assert!(bad.parse::<VgName>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_host_nqn_fits_and_tells_generations_apart(
            node in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]{1,60}){0,3}",
            generation in 0..u64::MAX,
        ) {
            let node: NodeName = node.parse().unwrap();
            let this = host_nqn(&node, Generation(generation));
            prop_assert!(this.len() <= 223);
            let parsed = parse_host_nqn(&this);
            if node.as_str().len() <= LONGEST_NODE_IN_NQN {
                prop_assert_eq!(parsed, Some((node.clone(), Generation(generation))));
            } else {
                prop_assert_eq!(parsed, None);
            }
            prop_assert_ne!(&this, &host_nqn(&node, Generation(generation + 1)));
        }
    }
}
