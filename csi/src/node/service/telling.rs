//! NodeGetVolumeStats and NodeExpandVolume.

use std::path::PathBuf;

use super::Inner;
use crate::capability::Use;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::node::host::{Host, Usage};
use crate::node::plan::expand;
use crate::node::{asked, health};
use crate::objects::Objects;
use crate::proto::volume_usage::Unit;
use crate::proto::{
    NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetVolumeStatsRequest,
    NodeGetVolumeStatsResponse, VolumeUsage,
};
use crate::size::Range;

/// A request for a size that was read.
#[derive(Clone, Debug)]
pub(super) struct Size {
    pub(super) handle: Handle,
    path: PathBuf,
    staging: Option<PathBuf>,
    least: u64,
}

pub(super) fn read_size(request: &NodeExpandVolumeRequest) -> Result<Size, Failure> {
    Handle::of(&request.volume_id)?;
    let path = asked::path("volume_path", &request.volume_path)?;
    let staging = optional("staging_target_path", &request.staging_target_path)?;
    let range = request.capacity_range.as_ref();
    Range::of(range)?;
    if let Some(capability) = &request.volume_capability {
        Use::of(Some(capability))?;
    }
    let handle = Handle::known(&request.volume_id)?;
    let least = range.map_or(0, |range| range.required_bytes);
    Ok(Size {
        handle,
        path,
        staging,
        least: u64::try_from(least).unwrap_or(0),
    })
}

fn optional(field: &str, text: &str) -> Result<Option<PathBuf>, Failure> {
    match text {
        "" => Ok(None),
        text => asked::path(field, text).map(Some),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn usage(told: Usage) -> Vec<VolumeUsage> {
    let bytes = VolumeUsage {
        total: signed(told.bytes),
        available: signed(told.bytes_available),
        used: signed(told.bytes.saturating_sub(told.bytes_free)),
        unit: Unit::Bytes.into(),
    };
    let inodes = VolumeUsage {
        total: signed(told.inodes),
        available: signed(told.inodes_free),
        used: signed(told.inodes.saturating_sub(told.inodes_free)),
        unit: Unit::Inodes.into(),
    };
    vec![bytes, inodes]
}

impl<C: Objects, H: Host> Inner<C, H> {
    pub(super) async fn stats(
        &self,
        request: NodeGetVolumeStatsRequest,
    ) -> Result<NodeGetVolumeStatsResponse, Failure> {
        Handle::of(&request.volume_id)?;
        let path = asked::path("volume_path", &request.volume_path)?;
        let staging = optional("staging_target_path", &request.staging_target_path)?;
        let handle = Handle::known(&request.volume_id)?;
        let mut subject = self.subject(&handle);
        subject.staging = staging;
        subject.target = Some(path.clone());
        let seen = self.host.look(&subject).await?;
        let absent = || {
            Failure::NotFound(format!(
                "volume `{}` is not at `{}`",
                handle.name,
                path.display()
            ))
        };
        let place = seen.target.as_ref().ok_or_else(absent)?;
        let mount = place.mount.as_ref().ok_or_else(absent)?;
        let condition = health::of(place, &seen);
        let usage = match (&mount.whose, mount.is_device, &seen.device) {
            (crate::node::seen::Whose::Other(_), ..) => return Err(absent()),
            (_, true, Some(device)) => vec![VolumeUsage {
                total: signed(device.size),
                unit: Unit::Bytes.into(),
                ..VolumeUsage::default()
            }],
            (_, true, None) => Vec::new(),
            (_, false, _) => match self.host.usage(&place.path).await {
                Ok(told) => usage(told),
                // How it is matters more than how full it is.
                Err(_) if condition.abnormal => Vec::new(),
                Err(trouble) => return Err(trouble.into()),
            },
        };
        Ok(NodeGetVolumeStatsResponse {
            usage,
            volume_condition: Some(condition),
        })
    }

    pub(super) async fn expand(
        &self,
        asked: Size,
        deadline: Deadline,
    ) -> Result<NodeExpandVolumeResponse, Failure> {
        let mut subject = self.subject(&asked.handle);
        subject.target = Some(asked.path.clone());
        subject.staging = asked.staging.filter(|staging| *staging != asked.path);
        let id = asked.handle.id;
        let next = |seen: &_, known: &_| expand::next(id, asked.least, seen, known);
        let seen = self.run(&subject, deadline, next).await?;
        let size = seen.device.map_or(0, |device| device.size);
        Ok(NodeExpandVolumeResponse {
            capacity_bytes: signed(size),
        })
    }
}
