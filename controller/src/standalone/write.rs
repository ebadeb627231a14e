//! Writes as functions of data: what an object becomes, or why not.
//!
//! Nothing here knows of stores, connections or who asks. A write is given the object as it is and
//! as it shall be, and answers with the complete object to store. What it refuses, it refuses with
//! the code, reason and causes of a real server.

mod body;
mod builtin;
mod delete;
mod metadata;
mod name;
mod objectmeta;
mod outcome;
mod ratchet;
mod size;
#[cfg(test)]
mod tests;
pub(crate) mod time;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::error::{ApiError, Cause, CauseReason, bounded};
use super::patch::Patch;
use super::resource::{Nature, Resource};

pub(crate) use body::read as read_body;
pub use body::{Body, BodyType, DEEPEST, parse_body, parse_body_of};
pub use delete::{DeleteOptions, Deletion};
pub(crate) use name::{label_value as label_value_errors, qualified as qualified_name_errors};
pub use outcome::{Accepted, Change, FieldValidation, Part};
pub(crate) use size::size_of;

/// What an object may be at most, in bytes of JSON: what etcd takes by default.
const LARGEST: usize = 1_572_864;

/// One write: of which kind, when, and how strictly.
#[derive(Clone, Debug)]
pub struct Writer<'a> {
    /// The kind.
    pub resource: &'a Resource,
    /// When.
    pub now: Timestamp,
    /// What becomes of unknown and repeated fields.
    pub validation: FieldValidation,
    /// Who writes. Not kept: who wrote which field matters to server-side apply only.
    pub field_manager: &'a str,
    /// The fields that the body has twice, as [`parse_body`] found them.
    pub duplicates: &'a [String],
}

/// Why a body is no object of its kind. In a patch that is another code than elsewhere.
enum Refusal {
    /// It can't be decoded.
    Undecodable(String),
    Refused(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Refusal::Refused(error)
    }
}

impl Writer<'_> {
    /// What a new object will be. `namespace` is the request's.
    ///
    /// # Errors
    /// 400, 413 or 422, as a real server would answer.
    pub fn create(
        &self,
        namespace: Option<&str>,
        body: Value,
        uid: Uuid,
    ) -> Result<Accepted, ApiError> {
        let mut object = body;
        let mut warnings = self.decode(&mut object).map_err(|r| self.undecodable(r))?;
        self.same_kind(&object)?;
        self.in_namespace(&mut object, namespace)?;
        if !["", "0"].contains(&objectmeta::text(&object, "resourceVersion")) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(ApiError::bad_request(message));
        }
        if self.resource.has_status && self.resource.nature != Nature::Node {
            objectmeta::remove(&mut object, "status");
        }
        builtin::begin(self.resource.nature, &mut object);
        objectmeta::begin(&mut object, uid, self.now, self.resource.has_generation);
        self.validate(&object, None)?;
        warnings.extend(objectmeta::warnings(&object, None));
        let object = self.resource.to_stored(object);
        Ok(Accepted {
            object,
            warnings,
            change: Change::Written,
        })
    }

    /// What an object becomes by a PUT. `old` is the object as stored, with its resourceVersion.
    ///
    /// # Errors
    /// 400, 409, 413 or 422, as a real server would answer.
    pub fn update(
        &self,
        old: &Value,
        name: &str,
        body: Value,
        part: Part,
    ) -> Result<Accepted, ApiError> {
        let old = self.before(old);
        let mut object = body;
        let warnings = self.decode(&mut object).map_err(|r| self.undecodable(r))?;
        self.same_name(&object, name)?;
        self.in_namespace(&mut object, Some(objectmeta::text(&old, "namespace")))?;
        self.same_uid(&old, &object, name)?;
        self.same_version(&old, &mut object, name)?;
        self.same_kind(&object)?;
        self.finish(&old, object, part, warnings)
    }

    /// What an object becomes by a patch. `old` is the object as stored, with its resourceVersion.
    ///
    /// # Errors
    /// 400, 409, 413, 415 or 422, as a real server would answer.
    pub fn patch(&self, old: &Value, patch: &Patch, part: Part) -> Result<Accepted, ApiError> {
        let old = self.before(old);
        let mut object = patch.apply(&old, self.resource.nature == Nature::Custom)?;
        let warnings = match self.decode(&mut object) {
            Ok(warnings) => warnings,
            Err(Refusal::Refused(error)) => return Err(error),
            Err(Refusal::Undecodable(why)) => {
                let cause = Cause::invalid("patch", &Value::from(object.to_string()), &why);
                return Err(ApiError::invalid("", "", "", vec![cause]));
            }
        };
        let name = objectmeta::text(&old, "name").to_owned();
        self.same_name(&object, &name)?;
        self.in_namespace(&mut object, Some(objectmeta::text(&old, "namespace")))?;
        self.same_version(&old, &mut object, &name)?;
        self.same_kind(&object)?;
        self.finish(&old, object, part, warnings)
    }

    /// The object before a write, as clients see it. It may have been stored when its kind had
    /// fewer defaults: rules that compare with it take today's for granted.
    fn before(&self, stored: &Value) -> Value {
        let mut old = self.resource.to_shown(stored.clone());
        self.resource.schema.shape(&mut old);
        old
    }

    /// Reads an object as one of this kind: shapes it, and says what was dropped.
    fn decode(&self, object: &mut Value) -> Result<Vec<String>, Refusal> {
        self.type_meta(object)?;
        let mut unknown = Vec::new();
        metadata::decode(object, &mut unknown).map_err(Refusal::Undecodable)?;
        builtin::decode(self.resource.nature, object).map_err(Refusal::Undecodable)?;
        unknown.extend(self.resource.schema.shape(object));
        unknown.sort();
        if self.resource.nature != Nature::Custom {
            self.decode_builtin(object)?;
        }
        let duplicates = self.duplicates.iter().map(|field| ("duplicate", field));
        let unknown = unknown.iter().map(|field| ("unknown", field));
        let found: Vec<String> = duplicates
            .chain(unknown)
            .map(|(what, field)| bounded(format!("{what} field {field:?}"), 512))
            .collect();
        match self.validation {
            FieldValidation::Strict if !found.is_empty() => {
                let why = format!("strict decoding error: {}", found.join(", "));
                Err(Refusal::Undecodable(why))
            }
            FieldValidation::Warn => Ok(found),
            FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
        }
    }

    /// Kinds that a real server has compiled in fail to decode where others fail to validate.
    fn decode_builtin(&self, object: &Value) -> Result<(), Refusal> {
        let causes = self.resource.schema.check(object);
        match causes.iter().find(|c| c.reason == CauseReason::TypeInvalid) {
            Some(cause) => {
                let why = cause
                    .message
                    .splitn(3, ": ")
                    .nth(2)
                    .unwrap_or(&cause.message);
                Err(Refusal::Undecodable(why.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// `apiVersion` and `kind`: have to be there for kinds of definitions, are filled in for
    /// others.
    fn type_meta(&self, object: &mut Value) -> Result<(), Refusal> {
        let expected = self.resource.api_version();
        if !object.is_object() {
            let why = "couldn't get version/kind; json parse error: json: cannot unmarshal what is \
                       no object";
            return Err(self.unrecognized(object, why));
        }
        for (key, value) in [("kind", &self.resource.kind), ("apiVersion", &expected)] {
            match &object[key] {
                Value::String(text) if !text.is_empty() => {}
                Value::Null | Value::String(_) if self.resource.nature != Nature::Custom => {
                    object[key] = Value::from(value.as_str());
                }
                Value::Null | Value::String(_) => {
                    let name = if key == "kind" { "Kind" } else { key };
                    let shown: String = object.to_string().chars().take(1024).collect();
                    let why = format!("Object '{name}' is missing in '{shown}'");
                    return Err(self.unrecognized(object, &why));
                }
                _ => {
                    let why = format!(
                        "couldn't get version/kind; json parse error: {key} has to be a string"
                    );
                    return Err(self.unrecognized(object, &why));
                }
            }
        }
        match object["apiVersion"].as_str().unwrap_or_default() {
            version if version == expected => Ok(()),
            version => Err(Refusal::Refused(ApiError::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version \
                 ({expected})"
            )))),
        }
    }

    fn unrecognized(&self, object: &Value, why: &str) -> Refusal {
        let kind = &self.resource.kind;
        let summary = body::summary(object.to_string().as_bytes());
        Refusal::Refused(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({summary})"
        )))
    }

    /// The answer to a body that can't be decoded, other than a patch's.
    fn undecodable(&self, refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Refused(error) => error,
            Refusal::Undecodable(why) => {
                let Resource { kind, version, .. } = self.resource;
                ApiError::bad_request(format!(
                    "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
                ))
            }
        }
    }

    fn same_kind(&self, object: &Value) -> Result<(), ApiError> {
        let kind = object
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if kind == self.resource.kind {
            return Ok(());
        }
        let why = format!("must be {}", self.resource.kind);
        let cause = Cause::invalid("kind", &Value::from(kind), &why);
        let name = objectmeta::text(object, "name");
        Err(ApiError::invalid(
            &self.resource.group,
            kind,
            name,
            vec![cause],
        ))
    }

    fn same_name(&self, object: &Value, name: &str) -> Result<(), ApiError> {
        match objectmeta::text(object, "name") {
            given if given == name => Ok(()),
            given => Err(ApiError::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            ))),
        }
    }

    /// The namespace is the request's; a cluster-scoped object has none, whatever it says.
    fn in_namespace(&self, object: &mut Value, namespace: Option<&str>) -> Result<(), ApiError> {
        if !self.resource.namespaced {
            objectmeta::unset(object, "namespace");
            return Ok(());
        }
        let namespace = namespace.unwrap_or_default();
        let given = objectmeta::text(object, "namespace");
        if !given.is_empty() && given != namespace {
            let message = "the namespace of the provided object does not match the namespace sent \
                           on the request";
            return Err(ApiError::bad_request(message));
        }
        objectmeta::set(object, "namespace", namespace);
        Ok(())
    }

    fn same_uid(&self, old: &Value, object: &Value, name: &str) -> Result<(), ApiError> {
        let (has, asked) = (
            objectmeta::text(old, "uid"),
            objectmeta::text(object, "uid"),
        );
        if asked.is_empty() || asked == has {
            return Ok(());
        }
        let message =
            format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {has}");
        Err(ApiError::conflict(
            &self.resource.group_resource(),
            name,
            message,
        ))
    }

    /// Whoever writes has to have seen what is there.
    fn same_version(&self, old: &Value, object: &mut Value, name: &str) -> Result<(), ApiError> {
        let has = objectmeta::text(old, "resourceVersion");
        let asked = objectmeta::text(object, "resourceVersion").to_owned();
        let of = self.resource.group_resource();
        match asked.as_str() {
            "" | "0" if self.resource.nature.may_be_overwritten() => {
                objectmeta::set(object, "resourceVersion", has);
                Ok(())
            }
            "" | "0" => {
                let why = "must be specified for an update";
                let cause = Cause::invalid("metadata.resourceVersion", &Value::from(0), why);
                Err(ApiError::invalid(
                    &of.group,
                    &of.resource,
                    name,
                    vec![cause],
                ))
            }
            asked if asked == has => Ok(()),
            asked if asked.parse::<u64>().is_err() => Err(ApiError::bad_request(format!(
                "metadata.resourceVersion: Invalid value: {asked:?}: has to be a number"
            ))),
            _ => Err(ApiError::stale(&of, name)),
        }
    }

    /// Puts together what an update leaves: the part that may change from `object`, the rest from
    /// `old`.
    fn finish(
        &self,
        old: &Value,
        object: Value,
        part: Part,
        mut warnings: Vec<String>,
    ) -> Result<Accepted, ApiError> {
        let mut object = match part {
            Part::Main => {
                let mut object = object;
                if self.resource.has_status {
                    objectmeta::copy(&mut object, old, "status");
                }
                object
            }
            Part::Status => {
                let mut kept = old.clone();
                objectmeta::copy(&mut kept, &object, "status");
                kept
            }
        };
        builtin::keep(self.resource.nature, &mut object, old);
        let mut causes = objectmeta::carry_over(&mut object, old);
        if self.resource.has_generation && objectmeta::content_differs(old, &object, self.resource)
        {
            objectmeta::next_generation(&mut object);
        }
        if !causes.is_empty() {
            causes.extend(objectmeta::validate(&object, self.resource.nature));
            return Err(self.invalid(&object, causes));
        }
        let unchanged = objectmeta::same(old, &object);
        if !unchanged {
            self.validate(&object, Some(old))?;
            warnings.extend(objectmeta::warnings(&object, Some(old)));
        }
        let change = match objectmeta::is_finished(&object) && builtin::may_go(&object) {
            _ if unchanged => Change::Unchanged,
            true => Change::Removed,
            false => Change::Written,
        };
        objectmeta::unset(&mut object, "resourceVersion");
        let object = self.resource.to_stored(object);
        Ok(Accepted {
            object,
            warnings,
            change,
        })
    }

    /// Everything that may be wrong with an object. Rules are evaluated only on what has the shape
    /// they take for granted.
    fn validate(&self, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        if size_of(object) > LARGEST {
            return Err(ApiError::too_large(LARGEST));
        }
        let Resource { nature, schema, .. } = self.resource;
        let mut causes =
            ratchet::new_causes(schema.check(object), object, old, |old| schema.check(old));
        causes.extend(objectmeta::validate(object, *nature));
        causes.extend(builtin::validate(*nature, object, old));
        if causes.iter().all(|c| c.reason == CauseReason::Invalid) {
            let broken = schema.rules(object, old);
            causes.extend(ratchet::new_causes(broken, object, old, |old| {
                schema.rules(old, None)
            }));
        }
        if causes.is_empty() {
            Ok(())
        } else {
            Err(self.invalid(object, causes))
        }
    }

    fn invalid(&self, object: &Value, causes: Vec<Cause>) -> ApiError {
        // Events are named without their group, for both groups have them.
        let group = match self.resource.nature {
            Nature::EventV1 => "",
            _ => &self.resource.group,
        };
        let name = objectmeta::text(object, "name");
        ApiError::invalid(group, &self.resource.kind, name, causes)
    }
}
