//! Deletions: at once, or marked until the last finalizer goes.

use serde_json::Value;

use super::{Writer, builtin, objectmeta, time};
use crate::standalone::error::{ApiError, Cause};

/// What a client wants of a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Delete this very object only.
    pub uid: Option<String>,
    /// Delete it in this state only.
    pub resource_version: Option<String>,
    /// What becomes of dependents. Checked, and not acted upon: there is no garbage collector, and
    /// a finalizer for one would hold the object back forever.
    pub propagation_policy: Option<String>,
    /// Say what would happen.
    pub dry_run: bool,
}

/// What a deletion comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Deletion {
    /// The object is to be removed.
    Removed,
    /// The object is to be stored, as one that is being deleted; without resourceVersion.
    Marked(Value),
    /// It is being deleted already.
    AlreadyMarked,
}

impl DeleteOptions {
    /// Reads the body of a DELETE; null is the absence of one.
    ///
    /// # Errors
    /// 400 for fields of the wrong type, 422 for words that aren't known.
    pub fn from_value(body: &Value) -> Result<Self, ApiError> {
        let undecodable = |field: &str| {
            ApiError::bad_request(format!(
                "DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: {field} is \
                 of the wrong type"
            ))
        };
        let map = match body {
            Value::Null => return Ok(DeleteOptions::default()),
            Value::Object(map) => map,
            _ => return Err(undecodable("the body")),
        };
        let text = |value: Option<&Value>, field: &str| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(undecodable(field)),
        };
        match text(map.get("kind"), "kind")?.as_deref() {
            None | Some("" | "DeleteOptions") => {}
            Some(other) => {
                let message = format!("no kind {other:?} is deleted with: send DeleteOptions");
                return Err(ApiError::bad_request(message));
            }
        }
        match map.get("gracePeriodSeconds") {
            None | Some(Value::Null) => {}
            Some(Value::Number(n)) if n.is_i64() || n.is_u64() => {}
            Some(_) => return Err(undecodable("gracePeriodSeconds")),
        }
        let preconditions = match map.get("preconditions") {
            None | Some(Value::Null) => &Value::Null,
            Some(object @ Value::Object(_)) => object,
            Some(_) => return Err(undecodable("preconditions")),
        };
        let mut options = DeleteOptions {
            uid: text(preconditions.get("uid"), "preconditions.uid")?,
            resource_version: text(
                preconditions.get("resourceVersion"),
                "preconditions.resourceVersion",
            )?,
            ..DeleteOptions::default()
        };
        options.set_policy(text(map.get("propagationPolicy"), "propagationPolicy")?)?;
        match map.get("dryRun") {
            None | Some(Value::Null) => {}
            Some(Value::Array(words)) => {
                for word in words {
                    options.set_dry_run(word)?;
                }
            }
            Some(_) => return Err(undecodable("dryRun")),
        }
        Ok(options)
    }

    /// Takes the policy from the body or the query.
    ///
    /// # Errors
    /// 422 for another word.
    pub fn set_policy(&mut self, policy: Option<String>) -> Result<(), ApiError> {
        let known = ["Foreground", "Background", "Orphan"];
        if let Some(other) = policy.as_deref().filter(|p| !known.contains(p)) {
            let supported = ["Foreground", "Background", "Orphan", "nil"].map(str::to_owned);
            let cause = Cause::not_supported("propagationPolicy", &Value::from(other), &supported);
            return Err(ApiError::invalid_option("DeleteOptions", cause));
        }
        if policy.is_some() {
            self.propagation_policy = policy;
        }
        Ok(())
    }

    fn set_dry_run(&mut self, word: &Value) -> Result<(), ApiError> {
        if word != "All" {
            let value = Value::from(vec![word.clone()]);
            let cause = Cause::not_supported("dryRun", &value, &["All".to_owned()]);
            return Err(ApiError::invalid_option("DeleteOptions", cause));
        }
        self.dry_run = true;
        Ok(())
    }
}

impl Writer<'_> {
    /// What a DELETE does to an object. `old` is the object as stored, with its resourceVersion.
    ///
    /// # Errors
    /// 409 when it isn't the object or the state that is to be deleted.
    pub fn delete(&self, old: &Value, options: &DeleteOptions) -> Result<Deletion, ApiError> {
        let of = self.resource.group_resource();
        let name = objectmeta::text(old, "name");
        let (uid, version) = (
            objectmeta::text(old, "uid"),
            objectmeta::text(old, "resourceVersion"),
        );
        if let Some(asked) = options.uid.as_deref().filter(|asked| *asked != uid) {
            let message = format!(
                "the UID in the precondition ({asked}) does not match the UID in record ({uid}). \
                 The object might have been deleted and then recreated"
            );
            return Err(ApiError::precondition(&of, name, &message));
        }
        if let Some(asked) = options
            .resource_version
            .as_deref()
            .filter(|asked| *asked != version)
        {
            let message = format!(
                "the ResourceVersion in the precondition ({asked}) does not match the \
                 ResourceVersion in record ({version}). The object might have been modified"
            );
            return Err(ApiError::precondition(&of, name, &message));
        }
        let is_marked = !objectmeta::text(old, "deletionTimestamp").is_empty();
        if !objectmeta::has_finalizers(old) && builtin::may_go(old) {
            return Ok(Deletion::Removed);
        }
        if is_marked {
            return Ok(Deletion::AlreadyMarked);
        }
        let mut object = old.clone();
        objectmeta::unset(&mut object, "resourceVersion");
        objectmeta::set(&mut object, "deletionTimestamp", time::format(self.now));
        objectmeta::set(&mut object, "deletionGracePeriodSeconds", 0);
        objectmeta::next_generation(&mut object);
        builtin::end(self.resource.nature, &mut object);
        Ok(Deletion::Marked(object))
    }
}
