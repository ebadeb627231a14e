//! What a volume waits for.

mod inside;
mod outside;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use weir_api::condition::{self, Condition};
use weir_api::crd::Volume;
use weir_api::volume::VolumeStatus;

use crate::concern::{Concern, Weight};
use crate::elapsed;
use crate::lease::Controller;
use crate::pool_state::PoolState;
use crate::remedy::{self, About};

/// What takes longer than this is worth a look: everything but zeroing is a matter of seconds.
const USUAL: Duration = Duration::from_secs(60);

/// What there is around a volume.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    /// The pool that it names, if there is one of that name.
    pub(crate) pool: Option<&'a PoolState>,
    pub(crate) controller: &'a Controller,
    pub(crate) now: Timestamp,
}

/// What a volume waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wait {
    /// One word that a program can match.
    pub(crate) reason: String,
    /// A sentence for a person.
    pub(crate) message: String,
    /// How bad it is; nothing: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<Weight>,
    /// What a person does next.
    pub(crate) next: Vec<String>,
}

/// No controller has decided about it.
const NO_LEADER: &str = "NoLeader";

/// There is nothing to do.
const BY_ITSELF: &str = "nothing: it goes on by itself";

impl Wait {
    fn new(
        weight: Option<Weight>,
        reason: &str,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Wait {
            reason: reason.to_owned(),
            message: message.into(),
            weight,
            next: vec![next.into()],
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn concern(self, name: &str) -> Option<Concern> {
        let steps = self.next.first().cloned();
        Some(Concern {
            weight: self.weight?,
            kind: "Volume",
            name: name.to_owned(),
            reason: self.reason,
            message: self.message,
            next: match self.next.len() {
                0 | 1 => steps.unwrap_or_default(),
                _ => format!("weir explain volume {name}"),
            },
        })
    }
}

/// What a volume waits for.
pub(crate) fn wait(volume: &Volume, around: &Around<'_>) -> Wait {
    let look = Look::at(volume, around);
    if volume.metadata.deletion_timestamp.is_some() {
        return look.deletion();
    }
    let Some(pool) = &volume.spec.pool_name else {
        return look.unplaced();
    };
    look.in_pool(pool)
}

struct Look<'a> {
    volume: &'a Volume,
    name: &'a str,
    status: VolumeStatus,
    around: &'a Around<'a>,
}

impl<'a> Look<'a> {
    fn at(volume: &'a Volume, around: &'a Around<'a>) -> Self {
        Look {
            volume,
            name: volume.metadata.name.as_deref().unwrap_or_default(),
            status: volume.status.clone().unwrap_or_default(),
            around,
        }
    }

    fn condition(&self, kind: &str) -> Option<&Condition> {
        condition::get(&self.status.conditions, kind)
    }

    fn about(&self) -> About<'a> {
        About {
            short: "wvol",
            name: self.name,
            node: self.around.pool.map(|pool| pool.node_name.as_str()),
        }
    }

    fn of(&self, weight: Option<Weight>, condition: &Condition) -> Wait {
        let next = remedy::of_reason(&condition.reason, self.about());
        Wait::new(weight, &condition.reason, condition.message.clone(), next)
    }

    /// A warning once it takes longer than usual.
    fn if_long(&self, since: Option<Timestamp>) -> Option<Weight> {
        let long = since.is_some_and(|since| elapsed::since(since, self.around.now) > USUAL);
        long.then_some(Weight::Warning)
    }

    fn created(&self) -> Option<Timestamp> {
        self.volume
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0)
    }

    fn no_leader(&self) -> Option<Wait> {
        (!self.around.controller.is_leading).then(|| {
            let message = format!(
                "a controller has to decide about it, and {}",
                self.around.controller.words()
            );
            Wait::new(
                Some(Weight::Error),
                NO_LEADER,
                message,
                "start weir-controller, or see its log",
            )
        })
    }
}

#[cfg(test)]
mod tests;
