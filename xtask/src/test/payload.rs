//! The disk with everything that runs inside guests.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::program::PROGRAMS;
use crate::cache::Cache;
use crate::setup;
use crate::vm;
use crate::workspace::Workspace;

/// What is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// What runs on storage nodes and consumers.
    Programs,
    /// The same with the test programs of our crates.
    Tests,
    /// The same with the control plane, the CSI plugin and a kubectl that runs in any guest: the oldest one, which needs no libraries.
    Control,
}

impl Payload {
    /// Builds what is on it, and makes it; the image.
    pub(crate) fn make(self, cache: &Cache, workspace: &Workspace) -> Result<PathBuf> {
        let mut programs = workspace.programs()?;
        match self {
            Payload::Programs => {}
            Payload::Tests => {
                for program in &PROGRAMS {
                    programs.push(workspace.test_program(program.name)?);
                }
            }
            Payload::Control => {
                programs.push(workspace.controller()?);
                programs.extend(workspace.csi()?);
                let kubectl = setup::kubectl(cache)?.pop();
                programs.push(kubectl.context("no kubectl")?.program);
            }
        }
        let image = workspace.for_vms()?.join(self.image());
        vm::payload::make(&programs, &workspace.deploy(), &image)?;
        Ok(image)
    }

    fn image(self) -> &'static str {
        match self {
            Payload::Programs | Payload::Tests => "payload.ext4",
            Payload::Control => "control.ext4",
        }
    }
}
