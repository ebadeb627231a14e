//! Schemas of our own definitions: pruning, defaults, validation.
//!
//! A definition's OpenAPI schema is compiled once: into a tree of nodes, which shapes objects and
//! knows how lists are told apart, and into a validator of the `jsonschema` crate. A write then
//! goes through three steps: [`Schema::shape`] makes the object what it will be, [`Schema::check`]
//! says which fields are refused, [`Schema::rules`] evaluates the rules in CEL.

mod check;
mod json_schema;
mod node;
mod path;
mod shape;
#[cfg(test)]
mod tests;

use jsonschema::Validator;
use serde_json::Value;

use super::error::Cause;
use super::rules;
pub(crate) use node::{ListType, Node, NodeType};
pub(crate) use path::Path;

/// Why a definition's schema can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A part of the schema that isn't structural, or not what we evaluate.
    #[error("{path}: {why}")]
    Unsupported {
        /// Where in the schema, e.g. `spec.devices[]`.
        path: String,
        /// What about it.
        why: String,
    },
    /// The `jsonschema` crate refuses it.
    #[error("{0}")]
    Validator(String),
}

impl SchemaError {
    pub(crate) fn at(path: &Path<'_>, why: impl Into<String>) -> Self {
        SchemaError::Unsupported {
            path: path.to_string(),
            why: why.into(),
        }
    }
}

/// A kind's schema, ready to be used on every request.
#[derive(Debug)]
pub struct Schema {
    root: Node,
    validator: Validator,
}

impl Schema {
    /// Compiles an OpenAPI v3 schema as it stands in a definition.
    ///
    /// # Errors
    /// When it isn't structural, or has a rule that we would not evaluate as a real server does.
    pub fn compile(open_api: &Value) -> Result<Self, SchemaError> {
        let root = Node::of(open_api, &Path::Root)?;
        let validator = json_schema::validator(open_api)?;
        Ok(Schema { root, validator })
    }

    /// Makes an object what it will be: unknown fields are dropped, defaults filled in, nulls that
    /// may not be dropped or replaced, whole floats made integers.
    ///
    /// Returns the paths of the unknown fields, in the document's order. `metadata` is left alone.
    pub fn shape(&self, object: &mut Value) -> Vec<String> {
        shape::shape(&self.root, object)
    }

    /// The fields that the schema refuses, in the order of their paths.
    #[must_use]
    pub fn check(&self, object: &Value) -> Vec<Cause> {
        check::check(&self.root, &self.validator, object)
    }

    /// The fields that the rules in CEL refuse; `old` is the object before an update.
    #[must_use]
    pub fn rules(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        rules::evaluate(&self.root, object, old)
    }
}
