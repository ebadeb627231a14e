//! Waiting for a volume to become something: by watching it, never by asking again and again.

use futures::StreamExt;
use tokio::time::timeout_at;
use weir_api::crd::Volume;
use weir_api::names::ObjectName;

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::objects::Objects;

/// What a state of the volume means to who waits.
pub(super) enum Look<T> {
    /// It is what was waited for.
    Done(T),
    /// It is not yet; says what is missing.
    Not(String),
}

/// Waits until `look` is content. `doing` says for a person what this is about.
pub(super) async fn wait<C: Objects, T>(
    cluster: &C,
    name: &ObjectName,
    deadline: Deadline,
    doing: &str,
    mut look: impl FnMut(Option<Volume>) -> Result<Look<T>, Failure>,
) -> Result<T, Failure> {
    let mut states = cluster.follow(name);
    let mut missing = "the API has not answered yet".to_owned();
    loop {
        let Ok(state) = timeout_at(deadline.at(), states.next()).await else {
            return Err(Failure::Late(format!("{doing}: {missing}")));
        };
        match state {
            Some(Ok(volume)) => match look(volume)? {
                Look::Done(done) => return Ok(done),
                Look::Not(why) => missing = why,
            },
            // It is tried again, with growing pauses.
            Some(Err(error)) => missing = error.to_string(),
            None => {
                return Err(Failure::Unavailable(format!(
                    "{doing}: the API ended the watch"
                )));
            }
        }
    }
}
