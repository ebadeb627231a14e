//! What a volume waits for in the pool that it names: the first thing that is in its way.

use weir_api::condition::{self, READY, REJECTED, Truth, reason};
use weir_api::names::ObjectName;
use weir_api::volume::Phase;

use super::{BY_ITSELF, Look, Wait};
use crate::attachment_state::attachments;
use crate::concern::Weight;
use crate::condition_words::is_bad;
use crate::lease::Hearing;
use crate::pool_state::{NOT_TOLD, PoolState};

/// It waits for nothing.
const NOTHING: &str = "Nothing";
/// The agent has not acted on the last change yet.
const CHANGE: &str = "Change";
/// A node it is attached to can't use it yet.
const ATTACHMENT: &str = "Attachment";

impl Look<'_> {
    pub(super) fn in_pool(&self, pool: &ObjectName) -> Wait {
        let Some(state) = self.around.pool else {
            return self.no_pool(pool);
        };
        let rejected = self
            .condition(REJECTED)
            .filter(|told| told.status == Truth::True);
        if let Some(rejected) = rejected {
            let message = format!(
                "pool {pool} rejected it, and another is looked for: {}",
                rejected.message
            );
            let wait = Wait::new(Some(Weight::Warning), REJECTED, message, BY_ITSELF);
            return self.no_leader().unwrap_or(wait);
        }
        if !state.is_ready() {
            return self.in_closed_pool(state);
        }
        self.unserved(state)
            .or_else(|| self.changed(state))
            .or_else(|| self.unattached())
            .or_else(|| self.bad())
            .unwrap_or_else(|| self.nothing())
    }

    fn in_closed_pool(&self, pool: &PoolState) -> Wait {
        let (name, message) = (&pool.name, &pool.message);
        let (weight, message) = match (self.status.phase, pool.reason.as_str()) {
            // Exports are the kernel's: they outlive the agent.
            (Phase::Ready, reason::AGENT_SILENT) => (
                Weight::Warning,
                format!(
                    "it was Ready when its agent was heard last, and may be served still. Its pool {name}: {message}"
                ),
            ),
            _ => (
                Weight::Error,
                format!("its pool {name} is not Ready: {message}"),
            ),
        };
        let why = if pool.reason == NOT_TOLD {
            reason::POOL_UNAVAILABLE
        } else {
            &pool.reason
        };
        Wait::new(Some(weight), why, message, pool.next())
    }

    /// It is not Ready.
    fn unserved(&self, pool: &PoolState) -> Option<Wait> {
        let refused = self.condition(condition::REFUSED);
        if let Some(refused) = refused.filter(|refused| refused.status == Truth::True) {
            let weight = match self.status.phase {
                Phase::Ready => Weight::Warning,
                _ => Weight::Error,
            };
            return Some(self.of(Some(weight), refused));
        }
        if self.status.phase == Phase::Ready {
            return None;
        }
        let Some(ready) = self.condition(READY) else {
            return Some(self.not_begun(pool));
        };
        let since = ready.last_transition_time.as_ref().map(|time| time.0);
        let weight = match (self.status.phase, ready.reason.as_str()) {
            // As long as it takes: a disk's speed decides.
            (_, reason::ZEROING) => None,
            (_, reason::WAITING) => self.if_long(since.or(self.created())),
            _ => Some(Weight::Error),
        };
        Some(self.of(weight, ready))
    }

    /// The agent has not said anything about it.
    fn not_begun(&self, pool: &PoolState) -> Wait {
        let node = &pool.node_name;
        if pool.agent.hearing != Hearing::Heard {
            let message = format!(
                "the agent on node {node} has not begun with it, and {}",
                pool.agent.words()
            );
            let next = format!(
                "on node {node}: see whether weir-agent runs, and what its log says of the API"
            );
            return Wait::new(Some(Weight::Warning), NOT_TOLD, message, next);
        }
        let message = format!("the agent on node {node} has not begun with it yet");
        let next = format!("{BY_ITSELF}; if it stays, see weir-agent's log on node {node}");
        Wait::new(self.if_long(self.created()), NOT_TOLD, message, next)
    }

    /// The agent has not seen the newest spec.
    fn changed(&self, pool: &PoolState) -> Option<Wait> {
        let (seen, now) = (
            self.status.observed_generation?,
            self.volume.metadata.generation?,
        );
        (seen < now).then(|| {
            let message = format!(
                "the agent on node {} has not acted on its last change yet",
                pool.node_name
            );
            Wait::new(None, CHANGE, message, BY_ITSELF)
        })
    }

    fn unattached(&self) -> Option<Wait> {
        let all = attachments(self.volume);
        let waits = all.iter().find(|one| one.is_asked_for && !one.is_usable);
        let waits = waits.or_else(|| all.iter().find(|one| !one.is_asked_for))?;
        let exported = self
            .condition(condition::EXPORTED)
            .filter(|exported| is_bad(exported));
        if let Some(exported) = exported {
            return Some(self.of(Some(Weight::Error), exported));
        }
        let verb = if waits.is_asked_for {
            "can't use it yet"
        } else {
            "is being cut off"
        };
        let why = waits.message.as_deref().unwrap_or_default();
        let message = format!("node {} {verb}: {why}", waits.node_name);
        Some(Wait::new(
            None,
            ATTACHMENT,
            message,
            "nothing, unless the message names something to close",
        ))
    }

    /// What is wrong beside that.
    fn bad(&self) -> Option<Wait> {
        let bad = self.status.conditions.iter().find(|one| is_bad(one))?;
        Some(self.of(Some(Weight::Warning), bad))
    }

    fn nothing(&self) -> Wait {
        let message = match self.volume.spec.attachments.len() {
            0 => "nothing: it is Ready, and attached to no node".to_owned(),
            1 => "nothing: it is Ready, and the node that it is attached to can use it".to_owned(),
            many => format!(
                "nothing: it is Ready, and the {many} nodes that it is attached to can use it"
            ),
        };
        Wait {
            reason: NOTHING.to_owned(),
            message,
            weight: None,
            next: Vec::new(),
        }
    }
}
