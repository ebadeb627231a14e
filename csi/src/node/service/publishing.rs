//! NodePublishVolume and NodeUnpublishVolume. The API is not asked: a pod of a volume that is staged starts without it.

use std::path::PathBuf;

use super::Inner;
use crate::capability::Use;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::node::asked;
use crate::node::host::Host;
use crate::node::plan::publish::Publish;
use crate::node::plan::{publish, unpublish};
use crate::node::source;
use crate::objects::Objects;
use crate::parameters::NodeContext;
use crate::proto::volume_capability::access_mode::Mode;
use crate::proto::{NodePublishVolumeRequest, NodeUnpublishVolumeRequest};

/// A request that was read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) handle: Handle,
    wish: Publish,
    mapping: Option<String>,
}

pub(super) fn read(request: &NodePublishVolumeRequest) -> Result<Asked, Failure> {
    Handle::of(&request.volume_id)?;
    let path = asked::path("target_path", &request.target_path)?;
    let usage = Use::of(request.volume_capability.as_ref())?;
    NodeContext::of(&request.volume_context, &usage)?;
    if request.staging_target_path.is_empty() {
        // The interface has this code for it.
        let message = "staging_target_path is missing: a volume is staged first".to_owned();
        return Err(Failure::Precondition(message));
    }
    let staging = asked::path("staging_target_path", &request.staging_target_path)?;
    if staging == path {
        let message = "target_path is the staging_target_path".to_owned();
        return Err(Failure::Invalid(message));
    }
    let handle = Handle::known(&request.volume_id)?;
    let mode = request
        .volume_capability
        .as_ref()
        .and_then(|one| one.access_mode);
    let mapping = match request.publish_context.get("devicePath") {
        Some(path) => {
            let mapping = source::mapping(path, handle.id);
            let wrong = || {
                Failure::Invalid(format!(
                    "publish_context: `{path}` is no device of the volume's"
                ))
            };
            Some(mapping.ok_or_else(wrong)?)
        }
        None => None,
    };
    let wish = Publish {
        id: handle.id,
        form: usage.form,
        is_read_only: request.readonly || usage.is_read_only,
        is_alone: mode.is_some_and(|mode| mode.mode() == Mode::SingleNodeSingleWriter),
        staging,
        path,
    };
    Ok(Asked {
        handle,
        wish,
        mapping,
    })
}

pub(super) fn read_end(
    request: &NodeUnpublishVolumeRequest,
) -> Result<Option<(Handle, PathBuf)>, Failure> {
    asked::end(&request.volume_id, "target_path", &request.target_path)
}

impl<C: Objects, H: Host> Inner<C, H> {
    pub(super) async fn publish(&self, asked: Asked, deadline: Deadline) -> Result<(), Failure> {
        let wish = &asked.wish;
        let mut subject = self.subject(&asked.handle);
        subject.mapping = asked.mapping;
        subject.staging = Some(wish.staging.clone());
        subject.target = Some(wish.path.clone());
        let next = |seen: &_, known: &_| publish::next(wish, seen, known);
        self.run(&subject, deadline, next).await?;
        tracing::info!(volume = %asked.handle.name, path = %wish.path.display(), "published");
        Ok(())
    }

    pub(super) async fn unpublish(
        &self,
        handle: &Handle,
        path: PathBuf,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let mut subject = self.subject(handle);
        subject.target = Some(path.clone());
        self.run(&subject, deadline, unpublish::next).await?;
        tracing::info!(volume = %handle.name, path = %path.display(), "unpublished");
        Ok(())
    }
}
