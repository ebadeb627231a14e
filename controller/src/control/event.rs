//! Events: what a person should see with `kubectl describe`.
//!
//! They are hints. When the API is slow or away, some are lost, and nothing waits for them.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many wait to be written.
const MOST_WAITING: usize = 1024;
/// The longest note, in bytes, that an API takes.
const LONGEST_NOTE: usize = 1024;
/// Events about what belongs to no namespace are kept in this one.
const NAMESPACE: &str = "default";
/// Who reports.
const CONTROLLER: &str = "weir.dev/controller";

/// Whether a person is to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Normal,
    Warning,
}

/// What an event says.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) weight: Weight,
    pub(super) reason: String,
    /// What was done, or tried.
    pub(super) action: &'static str,
    pub(super) text: String,
}

/// Writes events, one after the other.
pub(super) struct Events {
    waiting: mpsc::Sender<Event>,
    identity: String,
}

impl Events {
    /// The writer is a task of `tasks`.
    pub(super) fn start(client: Client, identity: String, tasks: &mut JoinSet<()>) -> Self {
        let (waiting, mut next) = mpsc::channel::<Event>(MOST_WAITING);
        let api: Api<Event> = Api::namespaced(client, NAMESPACE);
        tasks.spawn(async move {
            while let Some(event) = next.recv().await {
                if let Err(error) = api.create(&PostParams::default(), &event).await {
                    tracing::warn!(%error, "cannot write an event");
                }
            }
        });
        Events { waiting, identity }
    }

    /// Tells something about an object.
    pub(super) fn tell<K>(&self, about: &K, note: &Note)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = self.event(about.object_ref(&()), note);
        // Full: the API does not keep up, and what it is told later is newer.
        drop(self.waiting.try_send(event));
    }

    fn event(&self, regarding: ObjectReference, note: &Note) -> Event {
        let name = regarding.name.clone().unwrap_or_default();
        let kind = match note.weight {
            Weight::Normal => "Normal",
            Weight::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:016x}", fastrand::u64(..))),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(kind.to_owned()),
            reason: Some(note.reason.clone()),
            action: Some(note.action.to_owned()),
            note: Some(clipped(&note.text).to_owned()),
            regarding: Some(regarding),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.identity.clone()),
            event_time: Some(MicroTime(Timestamp::now())),
            ..Event::default()
        }
    }
}

/// As much of a text as a note may have.
fn clipped(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_NOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_ends_between_two_letters() {
        let long = "…".repeat(400);
        assert_eq!(clipped(&long).len(), 1023);
        assert_eq!(clipped("short"), "short");
    }
}
