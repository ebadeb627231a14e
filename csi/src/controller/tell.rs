//! What is told of volumes and pools.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::crd::{Locality, Volume};
use weir_api::volume::{Access, Provisioning};

use super::{Controller, users};
use crate::capability::{Form, Uses};
use crate::condition;
use crate::failure::Failure;
use crate::handle::{Handle, nobodys};
use crate::objects::{Labels, Objects, Surroundings};
use crate::parameters::Class;
use crate::proto::validate_volume_capabilities_response::Confirmed;
use crate::proto::{self, controller_get_volume_response, list_volumes_response};
use crate::room;
use crate::size::signed;
use crate::topology;
use crate::wanted::{CONTEXT, FORM};

/// So many volumes are read at a time where all are counted.
const PAGE: u32 = 500;

impl<C: Objects + Surroundings> Controller<C> {
    pub(super) async fn validate(
        &self,
        request: proto::ValidateVolumeCapabilitiesRequest,
    ) -> Result<proto::ValidateVolumeCapabilitiesResponse, Failure> {
        let handle = Handle::of(&request.volume_id)?;
        if request.volume_capabilities.is_empty() {
            return Err(Failure::Invalid(
                "volume_capabilities are missing".to_owned(),
            ));
        }
        let handle = handle.ok_or_else(|| nobodys(&request.volume_id))?;
        let volume = self.find(&handle).await?;
        let volume = volume.ok_or_else(|| nobodys(&request.volume_id))?;
        Ok(match confirms(&volume, &request) {
            Ok(()) => proto::ValidateVolumeCapabilitiesResponse {
                confirmed: Some(Confirmed {
                    volume_context: request.volume_context,
                    volume_capabilities: request.volume_capabilities,
                    parameters: request.parameters,
                    mutable_parameters: request.mutable_parameters,
                }),
                message: String::new(),
            },
            Err(why) => proto::ValidateVolumeCapabilitiesResponse {
                confirmed: None,
                message: why.to_string(),
            },
        })
    }

    pub(super) async fn list(
        &self,
        request: proto::ListVolumesRequest,
    ) -> Result<proto::ListVolumesResponse, Failure> {
        let most = u32::try_from(request.max_entries)
            .map_err(|_| Failure::Invalid("max_entries is negative".to_owned()))?;
        let token = Some(request.starting_token).filter(|token| !token.is_empty());
        let page = self.cluster.page(most, token).await?;
        let entry = |volume: &Volume| {
            Some(list_volumes_response::Entry {
                volume: Some(told(volume)?),
                status: Some(list_volumes_response::VolumeStatus {
                    published_node_ids: users(volume).iter().map(ToString::to_string).collect(),
                    volume_condition: Some(condition::of(volume)),
                }),
            })
        };
        Ok(proto::ListVolumesResponse {
            entries: page.volumes.iter().filter_map(entry).collect(),
            next_token: page.next.unwrap_or_default(),
        })
    }

    pub(super) async fn get(
        &self,
        id: &str,
    ) -> Result<proto::ControllerGetVolumeResponse, Failure> {
        let (_, volume) = self.need(id).await?;
        Ok(proto::ControllerGetVolumeResponse {
            volume: told(&volume),
            status: Some(controller_get_volume_response::VolumeStatus {
                published_node_ids: users(&volume).iter().map(ToString::to_string).collect(),
                volume_condition: Some(condition::of(&volume)),
            }),
        })
    }

    pub(super) async fn capacity(
        &self,
        request: &proto::GetCapacityRequest,
    ) -> Result<proto::GetCapacityResponse, Failure> {
        let uses = match &request.volume_capabilities[..] {
            [] => Uses {
                form: Form::Mount,
                access: Access::SingleHost,
                has_readers: false,
                fs_type: None,
                mount_flags: Vec::new(),
            },
            some => Uses::of(some)?,
        };
        let class = Class::of(&request.parameters, &uses)?;
        let at = request
            .accessible_topology
            .as_ref()
            .map(topology::node)
            .transpose()?;
        let pools = self.cluster.pools().await?;
        let mut nodes = BTreeMap::new();
        if class.nodes.is_some() {
            let names: BTreeSet<_> = pools
                .iter()
                .map(|pool| pool.spec.node_name.clone())
                .collect();
            for name in names {
                let labels: Labels = self.cluster.node(&name).await?.unwrap_or_default();
                nodes.insert(name, labels);
            }
        }
        let promised = match class.provisioning {
            Provisioning::Thick => BTreeMap::new(),
            Provisioning::Thin => room::promised(&self.all().await?),
        };
        let room = room::of(&class, at.as_ref(), &pools, &nodes, &promised);
        Ok(proto::GetCapacityResponse {
            available_capacity: signed(room.total),
            maximum_volume_size: Some(signed(room.largest)),
            minimum_volume_size: None,
        })
    }

    async fn all(&self) -> Result<Vec<Volume>, Failure> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let page = self.cluster.page(PAGE, token).await?;
            all.extend(page.volumes);
            match page.next {
                Some(next) => token = Some(next),
                None => return Ok(all),
            }
        }
    }
}

/// Whether a volume can be used as is asked.
fn confirms(
    volume: &Volume,
    request: &proto::ValidateVolumeCapabilitiesRequest,
) -> Result<(), Failure> {
    let no = |message: String| Err(Failure::Invalid(message));
    let uses = Uses::of(&request.volume_capabilities)?;
    let noted = |key: &str| {
        volume
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(key))
    };
    if let Some(form) = noted(FORM).filter(|form| form.as_str() != uses.form.name()) {
        return no(format!("it was made for {form} use"));
    }
    if uses.access == Access::MultiHost && volume.spec.access == Access::SingleHost {
        return no("it was made for one node at a time".to_owned());
    }
    if let Some(name) = request.mutable_parameters.keys().next() {
        return no(format!(
            "mutable_parameters: `{name}`: a volume can't be modified yet"
        ));
    }
    let known = context(volume);
    let given: BTreeMap<_, _> = request.volume_context.clone().into_iter().collect();
    if !given.is_empty() && given != known {
        return no("its volume_context is another".to_owned());
    }
    let class = Class::of(&request.parameters, &uses)?;
    if !request.parameters.is_empty() && class.context(uses.form) != known {
        return no("it was made with other parameters".to_owned());
    }
    Ok(())
}

/// What was noted for nodes when it was made; a volume that a person made has nothing of it.
fn context(volume: &Volume) -> BTreeMap<String, String> {
    let noted = volume
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(CONTEXT));
    noted
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// A volume in the interface's words; none: its object has a name that no API would have let in.
fn told(volume: &Volume) -> Option<proto::Volume> {
    let handle = Handle {
        name: volume.metadata.name.as_deref()?.parse().ok()?,
        id: volume.spec.id,
    };
    let status = volume.status.clone().unwrap_or_default();
    let locality = volume
        .spec
        .placement
        .as_ref()
        .map(|placement| placement.locality);
    let pinned = status
        .node_name
        .filter(|_| locality == Some(Locality::MustLocal));
    Some(proto::Volume {
        capacity_bytes: signed(status.capacity_bytes.max(volume.spec.capacity_bytes)),
        volume_id: handle.to_string(),
        volume_context: context(volume).into_iter().collect(),
        content_source: None,
        accessible_topology: pinned.iter().map(topology::of).collect(),
    })
}
