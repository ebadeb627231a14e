//! What was wrong with an object already is no reason to refuse a write that leaves it alone.
//!
//! A definition may be upgraded to one that refuses objects which are there: their finalizers and
//! status have to stay writable.

use serde_json::Value;

use crate::standalone::error::Cause;

/// Of `causes`, those that an update is to blame for: the others are in a part of the object
/// (`spec`, `status`) that it doesn't change, and were there before, as `before` says.
pub(super) fn new_causes(
    mut causes: Vec<Cause>,
    object: &Value,
    old: Option<&Value>,
    before: impl FnOnce(&Value) -> Vec<Cause>,
) -> Vec<Cause> {
    let Some(old) = old.filter(|_| !causes.is_empty()) else {
        return causes;
    };
    let before = before(old);
    causes.retain(|cause| !(is_untouched(&cause.field, object, old) && before.contains(cause)));
    causes
}

fn is_untouched(field: &str, object: &Value, old: &Value) -> bool {
    let part = field.split(['.', '[']).next().unwrap_or_default();
    match part {
        // A rule about the object itself: about its name, if it is about no part.
        "<nil>" | "" => ["spec", "status"]
            .iter()
            .all(|part| object[*part] == old[*part]),
        part => object[part] == old[part],
    }
}
