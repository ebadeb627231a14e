//! CreateVolume and DeleteVolume.

use tokio::time::Instant;
use uuid::Uuid;
use weir_api::condition::{self, READY};
use weir_api::crd::{Locality, Volume};
use weir_api::names::VolumeId;

use super::wait::{Look, wait};
use super::{Controller, users};
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::objects::{ApiError, Objects, Surroundings};
use crate::progress::{self, Progress};
use crate::proto;
use crate::size::signed;
use crate::topology;
use crate::wanted::{Existing, Wanted};

impl<C: Objects + Surroundings> Controller<C> {
    pub(super) async fn create(
        &self,
        request: &proto::CreateVolumeRequest,
        deadline: Deadline,
    ) -> Result<proto::Volume, Failure> {
        let wanted = Wanted::of(request, VolumeId(Uuid::new_v4()))?;
        let _turn = self.locks.take(&wanted.name)?;
        loop {
            let there = self.found_or_made(&wanted).await?;
            let why = match wanted.compare(&there)? {
                Existing::Same => match self.made(&there, &wanted, deadline).await? {
                    (volume, Progress::NoRoom(why)) => Some((volume, why)),
                    (volume, _) => return self.answer(&wanted, &volume).await,
                },
                Existing::Outdated => None,
            };
            // Nothing of it is anywhere, and nobody was told of it: left behind, it would be made some day, for nobody. The
            // order names exactly this state, in which it is nowhere.
            let (volume, why) = why.map_or((there, None), |(volume, why)| (volume, Some(why)));
            match (self.cluster.delete(&volume).await, why) {
                (Ok(()), Some(why)) => return Err(Failure::Exhausted(why)),
                // A pool was found for it at the last moment, or it is made anew.
                (Ok(()), None) | (Err(ApiError::Conflict), _) => {
                    in_time(deadline, "a pool for the volume")?
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }

    async fn found_or_made(&self, wanted: &Wanted) -> Result<Volume, Failure> {
        if let Some(there) = self.cluster.get(&wanted.name).await? {
            return Ok(there);
        }
        let volume = wanted.object();
        match self.cluster.create(volume).await {
            Ok(made) => {
                tracing::info!(volume = %wanted.name, id = %made.spec.id, "asked for");
                Ok(made)
            }
            // Another plugin was quicker; what it made is looked at by the next attempt.
            Err(ApiError::Conflict) => Err(Failure::Busy(format!(
                "volume `{}` is being made by another request: try again",
                wanted.name
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it is made, or there is no room for it.
    async fn made(
        &self,
        there: &Volume,
        wanted: &Wanted,
        deadline: Deadline,
    ) -> Result<(Volume, Progress), Failure> {
        let name = &wanted.name;
        let doing = format!("volume `{name}` is not ready");
        let seen = there.metadata.generation;
        wait(&self.cluster, name, deadline, &doing, |state| {
            let volume = state.filter(|volume| volume.spec.id == there.spec.id);
            let Some(volume) = volume else {
                return Err(Failure::Busy(format!(
                    "volume `{name}` was deleted meanwhile: try again"
                )));
            };
            if volume.metadata.generation < seen {
                return Ok(Look::Not("the API shows an older state".to_owned()));
            }
            Ok(match progress::of(&volume)? {
                Progress::Waiting(why) => Look::Not(why),
                progress => Look::Done((volume, progress)),
            })
        })
        .await
    }

    async fn answer(&self, wanted: &Wanted, volume: &Volume) -> Result<proto::Volume, Failure> {
        let name = &wanted.name;
        let status = volume.status.clone().unwrap_or_default();
        let size = status.capacity_bytes;
        if !wanted.admits(size) {
            return Err(Failure::OutOfRange(format!(
                "volume `{name}` has {} bytes, the next size that its pool can make, and more than limit_bytes: delete it \
                 (kubectl delete wvol {name}), and ask for whole extents of that pool",
                size.0
            )));
        }
        let locality = volume
            .spec
            .placement
            .as_ref()
            .map(|placement| placement.locality);
        let locality = locality.unwrap_or_default();
        let pool = match &volume.spec.pool_name {
            Some(pool) => self.cluster.pool(pool).await?,
            None => None,
        };
        let pinned = match pool {
            Some(pool) => topology::pinned(locality, &pool),
            None => status.node_name.filter(|_| locality == Locality::MustLocal),
        };
        if let Some(node) = pinned.as_ref().filter(|node| !wanted.reaches(node)) {
            return Err(Failure::AlreadyExists(format!(
                "volume `{name}` is there, on node `{node}`, and can't be used from where it is asked for"
            )));
        }
        let handle = Handle {
            name: name.clone(),
            id: volume.spec.id,
        };
        Ok(proto::Volume {
            capacity_bytes: signed(size),
            volume_id: handle.to_string(),
            volume_context: wanted.context().clone().into_iter().collect(),
            content_source: None,
            accessible_topology: pinned.iter().map(topology::of).collect(),
        })
    }

    pub(super) async fn remove(&self, id: &str, deadline: Deadline) -> Result<(), Failure> {
        let Some(handle) = Handle::of(id)? else {
            return Ok(());
        };
        let _turn = self.locks.take(&handle.name)?;
        loop {
            let Some(volume) = self.find(&handle).await? else {
                return Ok(());
            };
            if volume.metadata.deletion_timestamp.is_some() {
                break;
            }
            let users: Vec<String> = users(&volume).iter().map(ToString::to_string).collect();
            if !users.is_empty() {
                let message = format!(
                    "volume `{}` is granted to node `{}`",
                    handle.name,
                    users.join("`, `")
                );
                return Err(Failure::Precondition(message));
            }
            match self.cluster.delete(&volume).await {
                Ok(()) => {
                    tracing::info!(volume = %handle.name, id = %handle.id, "ordered to be deleted");
                    break;
                }
                // It is another one by now, which somebody may have been granted.
                Err(ApiError::Conflict) => {
                    in_time(deadline, "a quiet moment to delete the volume")?
                }
                Err(error) => return Err(error.into()),
            }
        }
        let doing = format!("volume `{}` is not gone", handle.name);
        wait(&self.cluster, &handle.name, deadline, &doing, |state| {
            let Some(volume) = state.filter(|volume| volume.spec.id == handle.id) else {
                return Ok(Look::Done(()));
            };
            let status = volume.status.unwrap_or_default();
            let said = condition::get(&status.conditions, READY).map(|one| one.message.clone());
            Ok(Look::Not(said.unwrap_or_else(|| {
                "its pool's agent has not said anything".to_owned()
            })))
        })
        .await
    }
}

/// Whether there is time for another attempt.
pub(super) fn in_time(deadline: Deadline, what: &str) -> Result<(), Failure> {
    match Instant::now() < deadline.at() {
        true => Ok(()),
        false => Err(Failure::Late(format!(
            "time was over before {what} was found"
        ))),
    }
}
