//! What a StorageClass says: read as a whole or refused by the name of what is wrong, never in part.
//!
//! [`table`] has every parameter in words, and `PARAMETERS.md` is made of it.

mod context;
mod link;
mod mkfs;
mod mount_flags;
mod owner;
mod selector;
pub mod table;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::Value;
use weir_api::crd::{Affinity, Engine, Layout, Locality, Wipe};
use weir_api::latency::LatencyObjective;
use weir_api::units::Latency;
use weir_api::volume::Provisioning;

use crate::capability::{Form, FsType, Uses};
use crate::failure::Failure;

pub use context::NodeContext;
pub use link::Link;
pub use mkfs::MkfsOptions;
pub use mount_flags::MountPolicy;
pub use owner::Owner;

/// What a StorageClass says, and whose volume it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// What serves it.
    pub engine: Engine,
    /// When it takes its space.
    pub provisioning: Provisioning,
    /// How its data lies.
    pub layout: Layout,
    /// Where it should be, seen from its user.
    pub locality: Locality,
    /// What happens to its space in the end.
    pub wipe: Wipe,
    /// What its latency should be.
    pub latency: Option<LatencyObjective>,
    /// Volumes with this key are kept apart.
    pub anti_affinity_key: Option<String>,
    /// On which nodes.
    pub nodes: Option<Affinity>,
    /// In which pools.
    pub pools: Option<Affinity>,
    /// The file system.
    pub fs_type: FsType,
    /// How it is made.
    pub mkfs: MkfsOptions,
    /// Which mount flags may be asked for.
    pub mount_policy: MountPolicy,
    /// How a node connects to it.
    pub link: Link,
    /// Whose it is.
    pub owner: Owner,
}

impl Class {
    /// Reads the parameters of a request, for what the volume is to be used as.
    ///
    /// # Errors
    /// Names the first parameter that is unknown, malformed, or contradicts another.
    pub fn of(parameters: &HashMap<String, String>, uses: &Uses) -> Result<Self, Failure> {
        let mut given = Given::of(parameters)?;
        let owner = Owner::take(&mut given)?;
        let fs_type = match (given.parse("fsType", fs_type)?, uses.fs_type) {
            (Some(class), Some(asked)) if class != asked => {
                let message = format!(
                    "is {}, and the volume's capability asks for {}",
                    class.name(),
                    asked.name()
                );
                return Err(refused("fsType", message));
            }
            (class, asked) => class.or(asked).unwrap_or(FsType::Ext4),
        };
        let locality = given.word("locality", Locality::default())?;
        let class = Class {
            engine: given.word("engine", Engine::default())?,
            provisioning: given.word("provisioning", Provisioning::default())?,
            layout: given.word("layout", Layout::default())?,
            locality,
            wipe: given.word("wipe", Wipe::default())?,
            latency: latency(&mut given)?,
            anti_affinity_key: given.parse("antiAffinityKey", key)?,
            nodes: given.parse("nodeSelector", selector::parse)?,
            pools: given.parse("poolSelector", selector::parse)?,
            fs_type,
            mkfs: given
                .parse("mkfsOptions", |text| MkfsOptions::parse(text, fs_type))?
                .unwrap_or_default(),
            mount_policy: given.parse("mountOptions", str::parse)?.unwrap_or_default(),
            link: Link::take(&mut given, locality)?,
            owner,
        };
        class.check(uses)?;
        Ok(class)
    }

    fn check(&self, uses: &Uses) -> Result<(), Failure> {
        if self.provisioning == Provisioning::Thin && self.layout != Layout::Linear {
            let message = "a thin volume's data lies as its thin pool's does: leave layout out, or take thick".to_owned();
            return Err(refused("layout", message));
        }
        self.mount_policy.check(&uses.mount_flags, self.fs_type)
    }

    /// What the nodes that use the volume have to know, all of it said: another version's defaults change nothing about a volume
    /// that is there.
    #[must_use]
    pub fn context(&self, form: Form) -> BTreeMap<String, String> {
        let mut context = self.link.context(self.locality);
        if form == Form::Mount {
            context.insert("fsType".to_owned(), self.fs_type.name().to_owned());
            context.insert("mkfsOptions".to_owned(), self.mkfs.to_string());
            context.insert("mountOptions".to_owned(), self.mount_policy.to_string());
        }
        context
    }
}

/// Parameters that nobody has looked at yet.
#[derive(Clone, Debug)]
struct Given(BTreeMap<String, String>);

impl Given {
    fn of(parameters: &HashMap<String, String>) -> Result<Self, Failure> {
        let given: BTreeMap<String, String> = parameters.clone().into_iter().collect();
        let unknown = given.keys().find(|name| table::row_of(name).is_none());
        match unknown {
            Some(name) => {
                let known: Vec<&str> = table::TABLE.iter().map(|row| row.name).collect();
                let message = format!("there is no such parameter; there are {}", known.join(", "));
                Err(refused(name, message))
            }
            None => Ok(Given(given)),
        }
    }

    fn parse<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.0.remove(name) else {
            return Ok(None);
        };
        let value = parse(&text).map_err(|error| refused(name, format!("`{text}`: {error}")))?;
        Ok(Some(value))
    }

    /// One of an enumeration's values, spelt as in the objects.
    fn word<T: DeserializeOwned>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        let parse = |text: &str| {
            let value = serde_json::from_value(Value::String(text.to_owned()));
            value.map_err(|_| {
                format!(
                    "one of {} is wanted",
                    table::row_of(name).map_or("", |row| row.values)
                )
            })
        };
        Ok(self.parse(name, parse)?.unwrap_or(default))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn refused(name: &str, message: impl std::fmt::Display) -> Failure {
    Failure::Invalid(format!("parameter `{name}`: {message}"))
}

fn fs_type(name: &str) -> Result<FsType, &'static str> {
    FsType::named(name).ok_or("ext4 and xfs are served")
}

fn key(key: &str) -> Result<String, &'static str> {
    match (1..=63).contains(&key.chars().count()) && !key.chars().any(char::is_control) {
        true => Ok(key.to_owned()),
        false => Err("1 to 63 characters are wanted"),
    }
}

fn latency(given: &mut Given) -> Result<Option<LatencyObjective>, Failure> {
    let aim = |text: &str| match Latency::from_str(text) {
        Ok(Latency(0)) => Err("no I/O takes no time".to_owned()),
        // One spelling for each, with digits that the API takes.
        Ok(latency) => Ok(latency),
        Err(error) => Err(error.to_string()),
    };
    let objective = LatencyObjective {
        read_p99: given.parse("readP99", aim)?,
        write_p99: given.parse("writeP99", aim)?,
    };
    Ok((objective != LatencyObjective::default()).then_some(objective))
}

#[cfg(test)]
mod tests;
