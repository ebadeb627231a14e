//! What a node is told of a volume: the other end of [`Class::context`](super::Class::context), which whoever writes a
//! PersistentVolume by hand may write as well.

use std::collections::{BTreeMap, HashMap};

use weir_api::crd::Locality;

use super::{Given, Link, MkfsOptions, MountPolicy, fs_type, refused};
use crate::capability::{Form, FsType, Use};
use crate::failure::Failure;

/// What a node has to know of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeContext {
    /// How to connect to it.
    pub link: Link,
    /// Its file system.
    pub fs_type: FsType,
    /// How that is made.
    pub mkfs: MkfsOptions,
}

/// What a context may have.
const KNOWN: [&str; 7] = [
    "portals",
    "ctrlLossTmo",
    "reconnectDelay",
    "fastIoFail",
    "fsType",
    "mkfsOptions",
    "mountOptions",
];

impl NodeContext {
    /// Reads a context, for a use. What others add has a slash in its name, and is not ours.
    ///
    /// # Errors
    /// Names the first entry that is unknown, malformed, or contradicts the use.
    pub fn of(context: &HashMap<String, String>, usage: &Use) -> Result<Self, Failure> {
        let ours = context.iter().filter(|(name, _)| !name.contains('/'));
        let ours: BTreeMap<String, String> = ours.map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some(name) = ours.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            let message = format!(
                "volume_context has `{name}`, and may have {}",
                KNOWN.join(", ")
            );
            return Err(Failure::Invalid(message));
        }
        let mut given = Given(ours);
        let link = Link::take(&mut given, Locality::default())?;
        let fs_type = match (given.parse("fsType", fs_type)?, usage.fs_type) {
            (Some(made), Some(asked)) if made != asked => {
                let message = format!(
                    "the volume is to have {}, and its capability asks for {}",
                    made.name(),
                    asked.name()
                );
                return Err(refused("fsType", message));
            }
            (made, asked) => made.or(asked).unwrap_or(FsType::Ext4),
        };
        let mkfs = given.parse("mkfsOptions", |text| MkfsOptions::parse(text, fs_type))?;
        let policy: MountPolicy = given.parse("mountOptions", str::parse)?.unwrap_or_default();
        if usage.form == Form::Mount {
            policy.check(&usage.mount_flags, fs_type)?;
        }
        Ok(NodeContext {
            link,
            fs_type,
            mkfs: mkfs.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Uses;
    use crate::capability::tests::{block, mount};
    use crate::parameters::Class;
    use crate::proto::VolumeCapability;
    use crate::proto::volume_capability::access_mode::Mode;

    fn read(
        context: &[(&str, &str)],
        capability: &VolumeCapability,
    ) -> Result<NodeContext, Failure> {
        let context = context
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        NodeContext::of(&context.collect(), &Use::of(Some(capability)).unwrap())
    }

    #[test]
    fn a_node_reads_what_the_controller_wrote() {
        for (parameters, capability) in [
            (&[][..], mount(Mode::SingleNodeWriter, "")),
            (
                &[
                    ("ctrlLossTmo", "never"),
                    ("portals", "2"),
                    ("fsType", "xfs"),
                    ("mkfsOptions", "-K -i size=512"),
                ],
                mount(Mode::SingleNodeMultiWriter, "xfs"),
            ),
            (&[("locality", "MustLocal")], block(Mode::SingleNodeWriter)),
            (
                &[("fastIoFail", "30"), ("reconnectDelay", "1")],
                block(Mode::MultiNodeMultiWriter),
            ),
        ] {
            let owned = parameters
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let uses = Uses::of(std::slice::from_ref(&capability)).unwrap();
            let class = Class::of(&owned.collect(), &uses).unwrap();
            let context = class.context(uses.form).into_iter().collect();
            let usage = Use::of(Some(&capability)).unwrap();
            let read = NodeContext::of(&context, &usage).unwrap();
            assert_eq!(read.link, class.link);
            if uses.form == Form::Mount {
                assert_eq!((read.fs_type, &read.mkfs), (class.fs_type, &class.mkfs));
            }
        }
    }

    #[test]
    fn what_is_unknown_or_contradicts_is_refused() {
        let ext4 = mount(Mode::SingleNodeWriter, "ext4");
        for context in [
            &[("fstype", "ext4")][..],
            &[("fsType", "xfs")],
            &[("fsType", "btrfs")],
            &[("mkfsOptions", "-F")],
            &[("mountOptions", "none")],
            &[("ctrlLossTmo", "0")],
            &[("ctrlLossTmo", "10"), ("reconnectDelay", "20")],
        ] {
            let failure = read(context, &ext4).unwrap_err();
            assert_eq!(failure.code(), tonic::Code::InvalidArgument, "{context:?}");
        }
        let others = [(
            "storage.kubernetes.io/csiProvisionerIdentity",
            "1-csi.weir.dev",
        )];
        assert_eq!(read(&others, &ext4).unwrap().link, Link::default());
    }
}
