//! What a CreateVolumeRequest asks for, as an object, and whether an object that is there is it.
//!
//! The object's name comes from the request's ([`crate::handle::object_name`]), and the API makes one object of a name: a retry, or a
//! second plugin, finds what the first attempt made. Its id is new: a volume that is made again under a name is another one, whose
//! generations and data must have nothing in common with what was there before, be it an orphan, the order of a tombstone, or a host
//! that was cut off and still tries to connect.

use std::collections::BTreeMap;
use std::fmt::Debug;

use kube::core::ObjectMeta;
use weir_api::crd::{Placement, Volume, VolumeSpec};
use weir_api::names::{Generation, NodeName, ObjectName, VolumeId};
use weir_api::served::{self, Placing};
use weir_api::units::Bytes;
use weir_api::volume::Attachment;

use crate::capability::{Form, Uses};
use crate::failure::Failure;
use crate::handle;
use crate::parameters::Class;
use crate::progress;
use crate::proto::CreateVolumeRequest;
use crate::size::Range;
use crate::topology::Reach;

/// The annotation that has the name of the request a volume was made for.
pub const REQUEST: &str = "csi.weir.dev/request";
/// The annotation that says what the volume appears as.
pub const FORM: &str = "csi.weir.dev/form";
/// The annotation that has what nodes have to know: the interface's `volume_context`.
pub const CONTEXT: &str = "csi.weir.dev/context";

/// A volume that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Of its object.
    pub name: ObjectName,
    request: String,
    range: Range,
    reach: Reach,
    form: Form,
    spec: VolumeSpec,
    context: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// What an object that is there is to the request that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is the volume.
    Same,
    /// It was made for an attempt that had another node in mind, and nothing of it is anywhere: it is to be made anew. What the controller said
    /// of the old wish can't be taken for an answer to the new one then.
    Outdated,
}

impl Wanted {
    /// Reads a request. `id` is what the volume is called if it does not exist yet.
    ///
    /// # Errors
    /// It is incomplete, contradictory, or asks for what is not served.
    pub fn of(request: &CreateVolumeRequest, id: VolumeId) -> Result<Self, Failure> {
        let name = handle::object_name(&request.name)?;
        if request.volume_content_source.is_some() {
            let message = "volume_content_source: snapshots and clones are not served yet";
            return Err(Failure::Invalid(message.to_owned()));
        }
        if let Some(name) = request.mutable_parameters.keys().next() {
            let message = format!("mutable_parameters: `{name}`: a volume can't be modified yet");
            return Err(Failure::Invalid(message));
        }
        let uses = Uses::of(&request.volume_capabilities)?;
        let class = Class::of(&request.parameters, &uses)?;
        let range = Range::of(request.capacity_range.as_ref())?;
        let reach = Reach::of(request.accessibility_requirements.as_ref())?;
        let placement = Placement {
            locality: class.locality,
            consumer_node: reach.consumer(class.locality),
            nodes: class.nodes.clone(),
            pools: class.pools.clone(),
            anti_affinity_key: class.anti_affinity_key.clone(),
        };
        let spec = VolumeSpec {
            id,
            capacity_bytes: range.size()?,
            engine: class.engine,
            provisioning: class.provisioning,
            layout: class.layout,
            access: uses.access,
            placement: Some(placement),
            latency: class.latency.clone(),
            qos: None,
            source: None,
            wipe: class.wipe,
            attachments: Vec::new(),
            pool_name: None,
        };
        is_served(&spec, uses.has_readers)?;
        let context = class.context(uses.form);
        let json = serde_json::to_string(&context);
        let json = json.map_err(|error| Failure::Internal(error.to_string()))?;
        let mut annotations = class.owner.annotations();
        annotations.insert(REQUEST.to_owned(), request.name.clone());
        annotations.insert(FORM.to_owned(), uses.form.name().to_owned());
        annotations.insert(CONTEXT.to_owned(), json);
        Ok(Wanted {
            name,
            request: request.name.clone(),
            range,
            reach,
            form: uses.form,
            spec,
            context,
            labels: class.owner.labels(),
            annotations,
        })
    }

    /// The object, as it is made.
    #[must_use]
    pub fn object(&self) -> Volume {
        let metadata = ObjectMeta {
            name: Some(self.name.to_string()),
            labels: Some(self.labels.clone()),
            annotations: Some(self.annotations.clone()),
            ..ObjectMeta::default()
        };
        Volume {
            metadata,
            spec: self.spec.clone(),
            status: None,
        }
    }

    /// What nodes have to know.
    #[must_use]
    pub fn context(&self) -> &BTreeMap<String, String> {
        &self.context
    }

    /// Whether a size is what was asked for.
    #[must_use]
    pub fn admits(&self, size: Bytes) -> bool {
        self.range.admits(size)
    }

    /// Whether the volume may be usable on this node alone.
    #[must_use]
    pub fn reaches(&self, node: &NodeName) -> bool {
        self.reach.admits(node)
    }

    /// Whether an object that is there is this volume.
    ///
    /// # Errors
    /// It is another one, or going.
    pub fn compare(&self, there: &Volume) -> Result<Existing, Failure> {
        let name = &self.name;
        let other = |what: String| {
            Err(Failure::AlreadyExists(format!(
                "volume `{name}` is there, and {what}"
            )))
        };
        let noted = |key: &str| {
            there
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(key))
        };
        match noted(REQUEST) {
            Some(request) if *request == self.request => {}
            Some(request) => return other(format!("was made for `{request}`")),
            None => return other("was not made by this plugin".to_owned()),
        }
        if there.metadata.deletion_timestamp.is_some() {
            let message = format!("volume `{name}` is being deleted: try again");
            return Err(Failure::Busy(message));
        }
        if noted(FORM).map(String::as_str) != Some(self.form.name()) {
            return other(format!("is no {}", self.form.name()));
        }
        if let Some((field, is, wanted)) = self.difference(&there.spec) {
            return other(format!("its {field} is {is}, not {wanted}"));
        }
        if noted(CONTEXT) != self.annotations.get(CONTEXT) {
            return other(
                "its file system or its connections were asked for with other parameters"
                    .to_owned(),
            );
        }
        let real = there
            .status
            .as_ref()
            .map_or(Bytes(0), |status| status.capacity_bytes);
        let size = Bytes(real.0.max(there.spec.capacity_bytes.0));
        if !self.range.admits(size) {
            return other(format!(
                "has {size}, which is not in the range that is asked for"
            ));
        }
        if progress::is_nowhere(there) && there.spec.placement != self.spec.placement {
            return Ok(Existing::Outdated);
        }
        Ok(Existing::Same)
    }

    /// The first field that is not as asked for. Where its pool is, and its size, are looked at elsewhere.
    fn difference(&self, there: &VolumeSpec) -> Option<(&'static str, String, String)> {
        fn differ<T: PartialEq + Debug>(
            name: &'static str,
            is: &T,
            wanted: &T,
        ) -> Option<(&'static str, String, String)> {
            (is != wanted).then(|| (name, format!("{is:?}"), format!("{wanted:?}")))
        }
        let wanted = &self.spec;
        let (is_at, wanted_at) = (
            there.placement.clone().unwrap_or_default(),
            wanted.placement.clone().unwrap_or_default(),
        );
        differ("access", &there.access, &wanted.access)
            .or_else(|| differ("engine", &there.engine, &wanted.engine))
            .or_else(|| differ("provisioning", &there.provisioning, &wanted.provisioning))
            .or_else(|| differ("layout", &there.layout, &wanted.layout))
            .or_else(|| differ("wipe", &there.wipe, &wanted.wipe))
            .or_else(|| differ("latency", &there.latency, &wanted.latency))
            .or_else(|| differ("qos", &there.qos, &wanted.qos))
            .or_else(|| differ("source", &there.source, &wanted.source))
            .or_else(|| differ("locality", &is_at.locality, &wanted_at.locality))
            .or_else(|| differ("node selector", &is_at.nodes, &wanted_at.nodes))
            .or_else(|| differ("pool selector", &is_at.pools, &wanted_at.pools))
            .or_else(|| {
                differ(
                    "anti-affinity key",
                    &is_at.anti_affinity_key,
                    &wanted_at.anti_affinity_key,
                )
            })
    }
}

/// Whether the agents of this version serve what is asked for. They would refuse it themselves, and a claim would wait for ever.
fn is_served(spec: &VolumeSpec, has_readers: bool) -> Result<(), Failure> {
    let internal = |error: weir_api::names::NameError| Failure::Internal(error.to_string());
    let mut sample = VolumeSpec {
        pool_name: Some("pool".parse().map_err(internal)?),
        ..spec.clone()
    };
    if has_readers {
        sample.attachments.push(Attachment {
            node_name: "node".parse().map_err(internal)?,
            generation: Generation(1),
            read_only: true,
        });
    }
    served_by_agents(sample)
}

/// Whether agents serve a volume like this.
///
/// # Errors
/// Names the field that they refuse.
pub(crate) fn served_by_agents(spec: VolumeSpec) -> Result<(), Failure> {
    let served = served::volume(spec, Placing::Controller);
    served
        .map(drop)
        .map_err(|error| Failure::Invalid(format!("agents can't serve this: {error}")))
}

#[cfg(test)]
pub(crate) mod tests;
