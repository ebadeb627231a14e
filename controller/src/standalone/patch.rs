//! Merge patches and JSON patches.
//!
//! They are applied with the `json-patch` crate, behind bounds that it doesn't have: a patch of a
//! few kilobytes could otherwise ask for gigabytes, or for an object too deep to be walked.

mod strategic;

use std::borrow::Cow;

use json_patch::jsonptr::Pointer;
use json_patch::{PatchOperation, patch_unsafe};
use serde_json::Value;

use super::error::ApiError;
use super::write::{BodyType, DEEPEST, read_body, size_of};

/// A real server's bound as well.
const MOST_OPERATIONS: usize = 10_000;

/// What `copy` may add up to, in bytes.
const MOST_COPIED: usize = 3 * 1024 * 1024;

/// Items of lists that may be pushed along by inserting and removing others.
const MOST_MOVED: usize = 10_000_000;

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// How an object shall change.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 7396.
    Merge(Value),
    /// RFC 6902, where `test` with null passes on what isn't there.
    Json(json_patch::Patch),
    /// Kubernetes' own: a merge that knows the keys of a few lists. For built-in kinds only.
    Strategic(Value),
}

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// 415 for another media type, 400 for a body that can't be read, 413 for too many operations,
    /// 422 for operations that make no sense.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Patch, ApiError> {
        Patch::parse_strictly(media_type, bytes).map(|(patch, _)| patch)
    }

    /// Reads a patch, and names the fields that it has twice.
    ///
    /// # Errors
    /// As [`Patch::parse`].
    pub fn parse_strictly(
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(Patch, Vec<String>), ApiError> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if ![MERGE, JSON, STRATEGIC].contains(&essence.as_str()) {
            return Err(ApiError::unsupported_media_type_but(&[JSON, MERGE]));
        }
        let body = read_body(bytes, BodyType::Json).map_err(decoding)?;
        let patch = match (essence.as_str(), body.value) {
            (JSON, Value::Array(operations)) => Patch::Json(operations_of(operations)?),
            (JSON, other) => {
                return Err(not_a("[]handlers.jsonPatchOp", &other));
            }
            (MERGE, value @ Value::Object(_)) => Patch::Merge(value),
            (_, value @ Value::Object(_)) => Patch::Strategic(value),
            (_, other) => return Err(not_a("map[string]interface {}", &other)),
        };
        Ok((patch, body.duplicates))
    }

    /// What an object becomes. `is_custom` says whether its kind is one of a definition.
    pub(crate) fn apply(&self, object: &Value, is_custom: bool) -> Result<Value, ApiError> {
        let mut patched = object.clone();
        match self {
            Patch::Merge(patch) => json_patch::merge(&mut patched, patch),
            Patch::Json(patch) => apply_json(&mut patched, patch)?,
            Patch::Strategic(_) if is_custom => {
                let accepted = [JSON, MERGE];
                return Err(ApiError::unsupported_media_type_but(&accepted));
            }
            Patch::Strategic(patch) => {
                strategic::merge(&mut patched, patch).map_err(|e| decoding(e.to_string()))?;
            }
        }
        Ok(patched)
    }
}

fn decoding(error: String) -> ApiError {
    ApiError::bad_request(format!("error decoding patch: {error}"))
}

fn not_a(want: &str, got: &Value) -> ApiError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    decoding(format!(
        "json: cannot unmarshal {got} into Go value of type {want}"
    ))
}

fn operations_of(operations: Vec<Value>) -> Result<json_patch::Patch, ApiError> {
    if operations.len() > MOST_OPERATIONS {
        return Err(ApiError::too_much(format!(
            "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut read = Vec::with_capacity(operations.len());
    for operation in operations {
        if !operation.is_object() {
            return Err(not_a("handlers.jsonPatchOp", &operation));
        }
        let operation: PatchOperation =
            serde_json::from_value(operation).map_err(|_| ApiError::patch_refused())?;
        // Who manages which field isn't kept, so there is nothing there to change.
        let first = operation
            .path()
            .tokens()
            .take(2)
            .map(|t| t.decoded().into_owned());
        if !first.eq(["metadata", "managedFields"].map(str::to_owned)) {
            read.push(operation);
        }
    }
    Ok(json_patch::Patch(read))
}

fn apply_json(object: &mut Value, patch: &json_patch::Patch) -> Result<(), ApiError> {
    let mut copied = 0_usize;
    let mut moved = 0_usize;
    for operation in patch.iter() {
        match operation {
            PatchOperation::Test(test) => {
                let found = test.path.resolve(&*object).map(Cow::Borrowed);
                let found = found.unwrap_or(Cow::Owned(Value::Null));
                if *found != test.value {
                    return Err(ApiError::patch_refused());
                }
                continue;
            }
            PatchOperation::Add(add) => shallow(&add.path, &add.value)?,
            PatchOperation::Replace(replace) => shallow(&replace.path, &replace.value)?,
            PatchOperation::Copy(copy) => {
                let source = from(&copy.from, object)?;
                shallow(&copy.path, source)?;
                copied += size_of(source);
            }
            PatchOperation::Move(mv) => {
                shallow(&mv.path, from(&mv.from, object)?)?;
                moved += neighbours(&mv.from, object);
            }
            PatchOperation::Remove(_) => {}
        }
        moved += neighbours(operation.path(), object);
        if copied > MOST_COPIED || moved > MOST_MOVED {
            return Err(ApiError::too_much(
                "the JSON patch copies or moves too much",
            ));
        }
        patch_unsafe(object, std::slice::from_ref(operation))
            .map_err(|_| ApiError::patch_refused())?;
    }
    Ok(())
}

fn from<'v>(pointer: &Pointer, object: &'v Value) -> Result<&'v Value, ApiError> {
    pointer
        .resolve(object)
        .map_err(|_| ApiError::patch_refused())
}

/// The length of the list that a pointer points into: so many items may have to be moved.
fn neighbours(pointer: &Pointer, object: &Value) -> usize {
    let parent = pointer.parent().and_then(|p| p.resolve(object).ok());
    parent.and_then(Value::as_array).map_or(0, Vec::len)
}

/// A value may not end up deeper than a body may be.
fn shallow(pointer: &Pointer, value: &Value) -> Result<(), ApiError> {
    if pointer.count() + depth(value) > DEEPEST {
        let message = format!("error decoding patch: exceeded max depth of {DEEPEST}");
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
