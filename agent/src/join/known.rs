//! An object as an API has it, and what it asks of an agent.

use kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use weir_api::crd;
use weir_api::names::{API_VERSION, ObjectName, VolumeId};
use weir_api::parse::{Request, pool_of_api, volume_of_api};
use weir_api::volume::Phase;

use crate::requests::Burial;

/// What kinds of objects an agent follows, in the order in which they are told of: somebody waits for a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Volumes.
    Volume,
    /// StoragePools.
    Pool,
    /// Tombstones.
    Tombstone,
}

impl Kind {
    /// As objects say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Pool => "StoragePool",
            Kind::Volume => "Volume",
            Kind::Tombstone => "Tombstone",
        }
    }

    /// As a client is told it.
    pub(super) fn resource(self) -> ApiResource {
        match self {
            Kind::Pool => ApiResource::erase::<crd::StoragePool>(&()),
            Kind::Volume => ApiResource::erase::<crd::Volume>(&()),
            Kind::Tombstone => ApiResource::erase::<crd::Tombstone>(&()),
        }
    }
}

/// What an object asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    /// Something that should be there.
    Request(Box<Request>),
    /// What is left of a volume should not; whether anybody claims it, the cache knows.
    Burial(Burial),
    /// Nothing: it did, and is taken back.
    Nothing,
}

/// An object as it was last heard of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// Its name.
    pub(super) name: String,
    /// Its UID: another object of its name has another.
    pub(super) uid: String,
    /// Its `resourceVersion`.
    pub(super) version: String,
    /// Its `generation`.
    pub(super) generation: Option<i64>,
    /// Which volume it is, or is about.
    pub(super) id: Option<VolumeId>,
    /// Whether its deletion was ordered.
    pub(super) is_deleted: bool,
    /// What it asks for; or which field an agent can't serve.
    pub(super) asked: Result<Asked, String>,
    /// Its status, whoever wrote what there.
    pub(super) status: Value,
}

impl Known {
    /// What is to be known of an object. One without a name is none.
    pub(super) fn of(kind: Kind, mut object: DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        let name = metadata.name.clone()?;
        let spec = object.data["spec"].take();
        let id = serde_json::from_value(spec["id"].clone()).ok();
        let id = id.filter(|_| kind != Kind::Pool);
        let is_deleted = metadata.deletion_timestamp.is_some();
        // Without its status: what is new there since this agent was built is no reason to refuse the spec.
        let text = json!({
            "apiVersion": API_VERSION,
            "kind": kind.name(),
            "metadata": metadata,
            "spec": spec,
        });
        let request = |request| Asked::Request(Box::new(request));
        let asked = match kind {
            Kind::Pool => told(pool_of_api(text)).map(Request::Pool).map(request),
            Kind::Volume => {
                let bare = bare(&text);
                let volume = told(volume_of_api(text));
                // What it asked for beside that matters no more: it would never be gone otherwise.
                let volume = volume.or_else(|error| match is_deleted {
                    true => volume_of_api(bare).map_err(|_| error),
                    false => Err(error),
                });
                volume.map(Request::Volume).map(request)
            }
            Kind::Tombstone if is_deleted => Ok(Asked::Nothing),
            Kind::Tombstone => told(serde_json::from_value(text)).map(burial),
        };
        Some(Known {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata.resource_version.clone().unwrap_or_default(),
            generation: metadata.generation,
            asked,
            is_deleted,
            status: object.data["status"].take(),
            id,
            name,
        })
    }

    /// Its name as an agent's objects have it.
    pub(super) fn object_name(&self) -> Option<ObjectName> {
        self.name.parse().ok()
    }

    /// Whether its status says that somebody may have written to the volume: an object that was restored from an
    /// old copy says so of a volume that was deleted since.
    pub(super) fn was_made(&self) -> bool {
        let phase = serde_json::from_value(self.status["phase"].clone()).unwrap_or_default();
        match phase {
            Phase::Ready | Phase::Deleting => true,
            Phase::Failed => self.status["capacityBytes"]
                .as_u64()
                .is_some_and(|bytes| bytes > 0),
            Phase::Pending | Phase::Creating | Phase::Deleted => false,
        }
    }

    /// Whether it is certainly older than another state of the same object. Versions are numbers, though an API
    /// does not promise it; where they are not, the one heard last counts.
    pub(super) fn is_older_than(&self, other: &Known) -> bool {
        let number = |known: &Known| known.version.parse::<u64>().ok();
        let both = number(self).zip(number(other));
        self.uid == other.uid && both.is_some_and(|(this, that)| this < that)
    }
}

/// A volume of which nothing is said but which it is and where.
fn bare(volume: &Value) -> Value {
    let mut bare = volume.clone();
    if let Some(spec) = bare["spec"].as_object_mut() {
        spec.retain(|field, _| ["id", "capacityBytes", "poolName"].contains(&field.as_str()));
    }
    bare
}

fn told<T, E: std::fmt::Display>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}

fn burial(tombstone: crd::Tombstone) -> Asked {
    Asked::Burial(Burial {
        id: tombstone.spec.id,
        pool: tombstone.spec.pool_name,
        claimed_by: None,
    })
}
