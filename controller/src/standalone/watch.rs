//! Watches: what changed, told to whom it concerns.
//!
//! What a selector makes of a change is decided here, as a function of data; how it is sent is
//! `server`'s.

use bytes::Bytes;
use serde_json::Value;

use super::store::{Indexed, Stored, WatchEvent};

/// What a watch tells of a change.
#[derive(Clone, Debug)]
pub struct Told {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub kind: &'static str,
    /// The object that is shown.
    pub object: Stored,
}

/// What a watch that shows `keep` tells of a change; nothing if the object neither was nor is shown.
#[must_use]
pub fn told(event: WatchEvent, keep: impl Fn(&Indexed) -> bool) -> Option<Told> {
    let was = event
        .before
        .as_ref()
        .is_some_and(|before| keep(&before.indexed));
    if event.removed {
        let kind = "DELETED";
        let object = event.object;
        return was.then_some(Told { kind, object });
    }
    let is = keep(&event.object.indexed);
    let (kind, object) = match (was, is) {
        (true, true) => ("MODIFIED", event.object),
        (false, true) => ("ADDED", event.object),
        // It is gone for this watch: what it was, at the revision at which it became something else.
        (true, false) => ("DELETED", at(event.before?, &event.object)),
        (false, false) => return None,
    };
    Some(Told { kind, object })
}

/// An old state with a new one's revision.
fn at(old: Stored, new: &Stored) -> Stored {
    let mut object: Value = serde_json::from_slice(&old.bytes).unwrap_or_default();
    object["metadata"]["resourceVersion"] = new.revision.to_string().into();
    Stored {
        bytes: Bytes::from(object.to_string()),
        revision: new.revision,
        ..old
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::standalone::store::{Key, Pairs, Revision};
    use serde_json::json;

    fn stored(pool: &str, revision: u64) -> Stored {
        let object = json!({
            "metadata": {"name": "v", "resourceVersion": revision.to_string()},
            "spec": {"poolName": pool},
        });
        let key = Key {
            storage: "weir.dev/volumes".to_owned(),
            namespace: String::new(),
            name: "v".to_owned(),
        };
        let fields = Pairs::from([("spec.poolName".to_owned(), pool.to_owned())]);
        let indexed = Indexed {
            name: "v".to_owned(),
            fields,
            ..Indexed::default()
        };
        Stored {
            key: Arc::new(key),
            bytes: object.to_string().into(),
            revision: Revision(revision),
            indexed: Arc::new(indexed),
        }
    }

    fn event(before: Option<&str>, now: &str, removed: bool) -> WatchEvent {
        WatchEvent {
            revision: Revision(8),
            object: stored(now, 8),
            before: before.map(|pool| stored(pool, 5)),
            removed,
        }
    }

    #[test]
    fn a_selector_sees_objects_come_and_go() {
        let rows = [
            (event(None, "a", false), Some(("ADDED", "a"))),
            (event(None, "b", false), None),
            (event(Some("a"), "a", false), Some(("MODIFIED", "a"))),
            (event(Some("b"), "a", false), Some(("ADDED", "a"))),
            (event(Some("a"), "b", false), Some(("DELETED", "a"))),
            (event(Some("b"), "b", false), None),
            (event(Some("a"), "a", true), Some(("DELETED", "a"))),
            (event(Some("b"), "b", true), None),
        ];
        for (event, expected) in rows {
            let described = format!("{event:?}");
            let found = told(event, |indexed| indexed.field("spec.poolName") == "a");
            let found = found.map(|told| {
                let object: Value = serde_json::from_slice(&told.object.bytes).unwrap();
                assert_eq!(object["metadata"]["resourceVersion"], "8", "{described}");
                let pool = object["spec"]["poolName"].as_str().unwrap().to_owned();
                (told.kind, pool)
            });
            let expected = expected.map(|(kind, pool)| (kind, pool.to_owned()));
            assert_eq!(found, expected, "{described}");
        }
    }
}
