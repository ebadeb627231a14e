//! `weir orphans` over the API: what pools' statuses name, and Volume objects for it.
//!
//! What an object has to say for its agent to take the volume back as it is, is a function of what the status tells
//! ([`object`]); grants that go on are among it. Given again it changes nothing.

use anyhow::{Context, Result, bail, ensure};
use kube::ResourceExt;
use kube::api::PostParams;
use serde::Serialize;
use serde_json::{Value, json};
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{API_VERSION, FINALIZER, NodeName, ObjectName, VolumeId};
use weir_api::pool::OrphanVolume;
use weir_api::units::Bytes;

use super::AdoptArguments;
use crate::connect::Connection;
use crate::table::table;

/// Every orphan volume that a pool's status names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Found>,
    /// What is not among them, if anything.
    pub(crate) notes: Vec<String>,
}

/// An orphan volume and where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    pub(crate) pool_name: String,
    pub(crate) node_name: NodeName,
    #[serde(flatten)]
    pub(crate) volume: OrphanVolume,
}

impl Listed {
    /// What these pools' statuses name.
    pub(crate) fn of(pools: &[StoragePool]) -> Self {
        let mut listed = Listed::default();
        for pool in pools {
            let status = pool.status.clone().unwrap_or_default();
            let (name, node) = (pool.name_any(), &pool.spec.node_name);
            let named = u32::try_from(status.orphan_volumes.len()).unwrap_or(u32::MAX);
            match status.orphans {
                None => listed.notes.push(format!(
                    "pool {name} on node {node} has not told yet what it holds: see `weir status`"
                )),
                Some(count) if count > named => listed.notes.push(format!(
                    "pool {name} has {} more than its status names: adopt these, and ask again",
                    count - named
                )),
                Some(_) => {}
            }
            let found = status.orphan_volumes.into_iter().map(|volume| Found {
                pool_name: name.clone(),
                node_name: node.clone(),
                volume,
            });
            listed.items.extend(found);
        }
        listed
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let row = |found: &Found| {
            let volume = &found.volume;
            let users = volume
                .attachments
                .iter()
                .map(|grant| grant.node_name.as_str());
            let users: Vec<&str> = users.collect();
            [
                volume.name.to_string(),
                volume.id.to_string(),
                found.pool_name.clone(),
                found.node_name.to_string(),
                volume.capacity_bytes.to_string(),
                if users.is_empty() {
                    "-".to_owned()
                } else {
                    users.join(",")
                },
            ]
        };
        let mut text = if self.items.is_empty() {
            "no orphan volumes\n".to_owned()
        } else {
            let rows: Vec<_> = self.items.iter().map(row).collect();
            table(["NAME", "ID", "POOL", "NODE", "SIZE", "ATTACHED"], &rows)
        };
        for note in &self.notes {
            text.push_str(note);
            text.push('\n');
        }
        if !self.items.is_empty() {
            text.push_str(
                "They are served on. To have objects for them: weir orphans adopt --all\n",
            );
        }
        text
    }
}

/// What became of an order to adopt.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Adopted {
    pub(crate) items: Vec<Outcome>,
    /// What is not done, and why.
    pub(crate) failed: Vec<String>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) id: VolumeId,
    pub(crate) name: String,
    pub(crate) pool_name: String,
    /// False: there was an object already.
    pub(crate) is_new: bool,
}

impl Adopted {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for one in &self.items {
            let Outcome {
                id,
                name,
                pool_name,
                is_new,
            } = one;
            text.push_str(&match is_new {
                true => format!("volume {name} ({id}) has an object again, in pool {pool_name}\n"),
                false => format!("volume {name} ({id}) has an object already\n"),
            });
        }
        for why in &self.failed {
            text.push_str(why);
            text.push('\n');
        }
        if self.items.is_empty() && self.failed.is_empty() {
            text.push_str("no orphan volumes\n");
        }
        if !self.items.is_empty() {
            text.push_str("Next: kubectl get wvol; of one that does not become Ready: weir explain volume NAME\n");
        }
        text
    }
}

/// Lists.
pub(super) async fn list(connection: &Connection) -> Result<Listed> {
    let pools = connection
        .list(&connection.all::<StoragePool>(), "")
        .await?;
    Ok(Listed::of(&pools))
}

/// Creates objects for the orphans that are named.
pub(super) async fn adopt(connection: &Connection, wanted: &AdoptArguments) -> Result<Adopted> {
    ensure!(
        wanted.lv.is_none(),
        "--lv: give this order on the node itself, where its agent listens (--socket)"
    );
    let listed = list(connection).await?;
    let chosen = chosen(&listed, wanted)?;
    let mut adopted = Adopted::default();
    let volumes = connection.all::<Volume>();
    if chosen.is_empty()
        && let Some(id) = wanted.volume
    {
        let there = connection.list(&volumes, &format!("spec.id={id}")).await?;
        let Some(there) = there.first() else {
            bail!(
                "no pool's status names an orphan {id}; `weir orphans ls --api` lists them all. {}",
                listed.notes.join("; ")
            );
        };
        adopted.items.push(outcome(there, false));
        return Ok(adopted);
    }
    for found in chosen {
        match adopt_one(connection, &found, wanted.name.as_ref()).await {
            Ok(outcome) => adopted.items.push(outcome),
            Err(error) => {
                let (name, id) = (&found.volume.name, found.volume.id);
                adopted
                    .failed
                    .push(format!("volume {name} ({id}) is not adopted: {error:#}"));
            }
        }
    }
    Ok(adopted)
}

fn chosen(listed: &Listed, wanted: &AdoptArguments) -> Result<Vec<Found>> {
    let is_pool = |found: &&Found| {
        let pool = wanted.pool.as_ref();
        pool.is_none_or(|pool| pool.as_str() == found.pool_name)
    };
    let items = listed.items.iter().filter(is_pool);
    match wanted.volume {
        Some(id) => {
            let found: Vec<Found> = items
                .filter(|found| found.volume.id.0 == id)
                .cloned()
                .collect();
            let pools: Vec<&str> = found.iter().map(|found| found.pool_name.as_str()).collect();
            ensure!(
                pools.len() < 2,
                "pools {} each hold a volume {id}: name the right one with --pool",
                pools.join(", ")
            );
            Ok(found)
        }
        None if wanted.all => Ok(items.cloned().collect()),
        None => bail!(
            "name an ID, or give --all. A pool's own object comes back by its agent: on its node, \
             weir orphans adopt --pool NAME --socket /run/weir/agent.sock"
        ),
    }
}

async fn adopt_one(
    connection: &Connection,
    found: &Found,
    name: Option<&ObjectName>,
) -> Result<Outcome> {
    let volumes = connection.all::<Volume>();
    let id = found.volume.id;
    let there = connection.list(&volumes, &format!("spec.id={id}")).await?;
    if let Some(there) = there.first() {
        return Ok(outcome(there, false));
    }
    let wanted = object(found, name);
    let wanted: Volume = serde_json::from_value(wanted).context("it can't be an object")?;
    if let Some(other) = connection.get(&volumes, &wanted.name_any()).await? {
        bail!(
            "Volume `{}` is another one ({}): its agent knows this one by that name, so rename or delete that object \
             first",
            other.name_any(),
            other.spec.id
        );
    }
    let made = volumes.create(&PostParams::default(), &wanted).await;
    let made = made.context("cannot create the Volume")?;
    Ok(outcome(&made, true))
}

fn outcome(volume: &Volume, is_new: bool) -> Outcome {
    let pool = volume.spec.pool_name.as_ref();
    Outcome {
        id: volume.spec.id,
        name: volume.name_any(),
        pool_name: pool.map_or_else(|| "-".to_owned(), ToString::to_string),
        is_new,
    }
}

/// The object that says of a volume what is the case, and so changes nothing.
fn object(found: &Found, name: Option<&ObjectName>) -> Value {
    let OrphanVolume {
        id,
        name: own,
        capacity_bytes: Bytes(capacity),
        provisioning,
        access,
        attachments,
    } = &found.volume;
    json!({
        "apiVersion": API_VERSION,
        "kind": "Volume",
        "metadata": {"name": name.unwrap_or(own), "finalizers": [FINALIZER]},
        "spec": {
            "id": id,
            "capacityBytes": capacity,
            "provisioning": provisioning,
            "access": access,
            "attachments": attachments,
            "poolName": found.pool_name,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{ID, pool};

    fn listed() -> Listed {
        let volume = json!({
            "id": ID, "name": "a", "capacityBytes": 4096, "provisioning": "thin", "access": "MultiHost",
            "attachments": [{"nodeName": "app-1", "generation": 3}],
        });
        let told = json!({"orphans": 2, "orphanVolumes": [volume]});
        Listed::of(&[
            pool("p", "n1", json!({}), told),
            pool("q", "n2", json!({}), Value::Null),
        ])
    }

    #[test]
    fn what_is_not_listed_is_told() {
        let listed = listed();
        assert_eq!(listed.items.len(), 1);
        assert!(listed.notes[0].contains("1 more"), "{:?}", listed.notes);
        assert!(
            listed.notes[1].contains("pool q on node n2"),
            "{:?}",
            listed.notes
        );
        assert!(listed.text().contains("app-1"), "{}", listed.text());
    }

    /// Seen red with: `attachments` left out of `object`.
    #[test]
    fn an_adopted_object_says_what_is_the_case() {
        let found = &listed().items[0];
        let volume: Volume = serde_json::from_value(object(found, None)).unwrap();
        let spec = &volume.spec;
        assert_eq!(spec.pool_name.as_ref().unwrap().as_str(), "p");
        assert_eq!(
            (spec.capacity_bytes, spec.access),
            (Bytes(4096), found.volume.access)
        );
        assert_eq!(spec.provisioning, found.volume.provisioning);
        assert_eq!(spec.attachments, found.volume.attachments);
        assert_eq!(volume.metadata.finalizers.unwrap(), [FINALIZER]);
    }
}
