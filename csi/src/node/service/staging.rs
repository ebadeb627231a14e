//! NodeStageVolume and NodeUnstageVolume.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::json;
use uuid::Uuid;
use weir_api::crd::Volume;

use super::Inner;
use crate::attachment;
use crate::capability::Use;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::{Handle, nobodys};
use crate::node::asked;
use crate::node::host::Host;
use crate::node::marker::{MARKER, Marker};
use crate::node::plan::stage::Stage;
use crate::node::plan::{Known, stage, unstage};
use crate::node::run::{Markers, run};
use crate::node::source::{self, Source};
use crate::objects::{ApiError, Objects};
use crate::parameters::NodeContext;
use crate::proto::{NodeStageVolumeRequest, NodeUnstageVolumeRequest};

/// A request that was read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) handle: Handle,
    path: PathBuf,
    usage: Use,
    context: NodeContext,
    grant: HashMap<String, String>,
}

pub(super) fn read(request: &NodeStageVolumeRequest) -> Result<Asked, Failure> {
    // What is missing is told before what is wrong.
    Handle::of(&request.volume_id)?;
    let path = asked::path("staging_target_path", &request.staging_target_path)?;
    let usage = Use::of(request.volume_capability.as_ref())?;
    let context = NodeContext::of(&request.volume_context, &usage)?;
    let handle = Handle::known(&request.volume_id)?;
    source::generation(&request.publish_context)?;
    Ok(Asked {
        handle,
        path,
        usage,
        context,
        grant: request.publish_context.clone(),
    })
}

pub(super) fn read_end(
    request: &NodeUnstageVolumeRequest,
) -> Result<Option<(Handle, PathBuf)>, Failure> {
    let path = &request.staging_target_path;
    asked::end(&request.volume_id, "staging_target_path", path)
}

impl<C: Objects, H: Host> Inner<C, H> {
    pub(super) async fn stage(&self, asked: Asked, deadline: Deadline) -> Result<(), Failure> {
        let volume = self.volume(&asked.handle).await?;
        // What a device that was asked for holds is its pod's: nobody here looks into it.
        attachment::fits(&volume, asked.handle.name.as_str(), &asked.usage)?;
        let node = &self.settings.name;
        let grant = source::granted(&volume, node, &asked.grant, &asked.context.link)?;
        let is_read_only = grant.is_read_only || asked.usage.is_read_only;
        let mut subject = self.subject(&asked.handle);
        subject.staging = Some(asked.path.clone());
        if let Source::Local(mapping) = &grant.source {
            subject.mapping = Some(mapping.clone());
        }
        let wish = Stage {
            id: asked.handle.id,
            source: grant.source,
            is_read_only,
            form: asked.usage.form,
            fs_type: asked.context.fs_type,
            mkfs: asked.context.mkfs.words().to_vec(),
            flags: asked.usage.mount_flags.clone(),
            path: asked.path.clone(),
            fresh: Uuid::new_v4(),
            is_taken_over: volume.spec.source.is_some(),
        };
        let known = Known {
            marker: asked::marker(&volume)?,
            ..Known::default()
        };
        let markers = Noting {
            inner: self,
            asked: &asked,
        };
        let next = |seen: &_, known: &_| stage::next(&wish, seen, known);
        run(&self.host, &markers, &subject, known, deadline, next).await?;
        tracing::info!(volume = %asked.handle.name, path = %asked.path.display(), "staged");
        Ok(())
    }

    pub(super) async fn unstage(
        &self,
        handle: &Handle,
        path: PathBuf,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        // The API is not asked: what is here is here, whether or not it knows.
        let mut subject = self.subject(handle);
        subject.staging = Some(path.clone());
        let next = |seen: &_, known: &_| unstage::next(handle.id, seen, known);
        self.run(&subject, deadline, next).await?;
        tracing::info!(volume = %handle.name, path = %path.display(), "unstaged");
        Ok(())
    }

    async fn volume(&self, handle: &Handle) -> Result<Volume, Failure> {
        let there = self.cluster.get(&handle.name).await?;
        let there = there.filter(|volume| volume.spec.id == handle.id);
        there.ok_or_else(|| nobodys(&handle.to_string()))
    }
}

/// Markers as annotations.
struct Noting<'a, C, H> {
    inner: &'a Inner<C, H>,
    asked: &'a Asked,
}

impl<C: Objects, H: Host> Markers for Noting<'_, C, H> {
    async fn note(&self, before: Option<Marker>, after: Marker) -> Result<Option<Marker>, Failure> {
        let (inner, asked) = (self.inner, self.asked);
        let volume = inner.volume(&asked.handle).await?;
        // Whoever's grant has ended has nothing to say about the volume any more.
        source::granted(
            &volume,
            &inner.settings.name,
            &asked.grant,
            &asked.context.link,
        )?;
        let now = asked::marker(&volume)?;
        if now != before {
            return Ok(now);
        }
        let patch = json!({"metadata": {"annotations": {MARKER: after.to_string()}}});
        match inner.cluster.change(&volume, patch).await {
            Ok(_) => {
                tracing::info!(volume = %asked.handle.name, marker = %after, "noted");
                Ok(Some(after))
            }
            // Looked at again, and decided anew.
            Err(ApiError::Conflict) => asked::marker(&inner.volume(&asked.handle).await?),
            Err(error) => Err(error.into()),
        }
    }
}
