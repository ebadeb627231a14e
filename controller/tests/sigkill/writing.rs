//! A client that creates, grows and deletes its own volumes, and notes every answer.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::sleep;
use weir_api::crd::Volume;

use crate::journal::{Journal, State};
use crate::made::volume;

/// What came of a write.
enum Answer {
    /// Acknowledged, with the object's version if one is told.
    Yes(Option<u64>),
    /// Nothing is known.
    None,
}

/// Writes until it is over.
pub(crate) async fn write(api: Api<Volume>, writer: u64, seed: u64, journal: Arc<Journal>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let names: Vec<String> = (0..8)
        .map(|object| format!("vol-{writer}-{object}"))
        .collect();
    let mut states: Vec<State> = vec![None; names.len()];
    // Sizes are unique, so that a state tells which write it is of; they only grow.
    let mut size = (writer + 1) << 40;
    while !journal.is_over() {
        let chosen = random.usize(..names.len());
        let (name, state) = (&names[chosen], states[chosen]);
        size += 1;
        let wanted = match state {
            Some(_) if random.u8(..4) == 0 => None,
            _ => Some(size),
        };
        let newest = journal.newest();
        match attempt(&api, name, state, wanted).await {
            Answer::Yes(version) => {
                journal.acknowledge(name, wanted, version, newest);
                states[chosen] = wanted;
            }
            Answer::None => {
                journal.perhaps(name, wanted);
                states[chosen] = look(&api, name).await;
                journal.found(name, states[chosen]);
            }
        }
    }
}

/// Tries to make an object what is wanted.
async fn attempt(api: &Api<Volume>, name: &str, state: State, wanted: State) -> Answer {
    let answer = match (state, wanted) {
        (_, None) => {
            let gone = api.delete(name, &DeleteParams::default()).await;
            gone.map(|_| None)
        }
        (None, Some(size)) => {
            let mut object = volume(name, "pool");
            object.spec.capacity_bytes.0 = size;
            let made = api.create(&PostParams::default(), &object).await;
            made.map(Some)
        }
        (Some(_), Some(size)) => {
            let patch = Patch::Merge(json!({"spec": {"capacityBytes": size}}));
            let grown = api.patch(name, &PatchParams::default(), &patch).await;
            grown.map(Some)
        }
    };
    match answer {
        Ok(object) => Answer::Yes(object.map(|object| {
            let version = object.metadata.resource_version.unwrap();
            version.parse().unwrap()
        })),
        // It ends while it writes, or stops: then it did not say yes.
        Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
            panic!("{name}: {state:?} to {wanted:?}: {status:?}")
        }
        Err(_) => Answer::None,
    }
}

/// What an object is, as soon as the server is there again.
async fn look(api: &Api<Volume>, name: &str) -> State {
    loop {
        match api.get_opt(name).await {
            Ok(object) => return object.map(|object| object.spec.capacity_bytes.0),
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}
