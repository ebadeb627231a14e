//! CEL rules (`x-kubernetes-validations`) of our own definitions.
//!
//! Rules are compiled when a definition is loaded, and a rule that we would not evaluate as a real
//! server does is refused then. When one fails to evaluate, the object is refused: an error is
//! never a pass.

mod cost;
mod evaluate;
mod matching;
mod value;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cel::{Env, Program};
use serde_json::{Map, Value};

use super::error::CauseReason;
use super::schema::{Path, SchemaError};
pub(crate) use evaluate::evaluate;

/// The language as our rules speak it, made once: the standard library without optional values.
pub(crate) static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut language = Env::stdlib().with_optional_support(false);
    matching::declare(&mut language).expect("nothing else is called so");
    Arc::new(language)
});

/// Longer rules than this aren't rules.
const LONGEST_RULE: usize = 4096;

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) program: Program,
    pub(crate) message: String,
    pub(crate) reason: CauseReason,
    /// Below the value that the rule is about, e.g. `.poolName`; empty for the value itself.
    pub(crate) field: String,
    /// Whether it compares with the object before the update.
    pub(crate) is_transition: bool,
    /// What the rule looks at: no more of an object is converted.
    pub(crate) needs: Needs,
    /// How deep its loops are nested.
    pub(crate) nesting: u32,
}

/// The parts of a value that a rule looks at.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// All of it.
    pub(crate) all: bool,
    /// These fields of it.
    pub(crate) fields: BTreeMap<String, Needs>,
}

impl Rule {
    /// Compiles the rules of one schema node.
    pub(crate) fn all_of(
        rules: Option<&Value>,
        path: &Path<'_>,
        correlatable: bool,
    ) -> Result<Vec<Rule>, SchemaError> {
        let Some(rules) = rules else {
            return Ok(Vec::new());
        };
        let Some(rules) = rules.as_array() else {
            return Err(SchemaError::at(
                path,
                "x-kubernetes-validations has to be a list",
            ));
        };
        rules
            .iter()
            .map(|rule| Rule::of(rule, path, correlatable))
            .collect()
    }

    fn of(rule: &Value, path: &Path<'_>, correlatable: bool) -> Result<Rule, SchemaError> {
        let refuse = |why: String| SchemaError::at(path, why);
        let empty = Map::new();
        let map = rule.as_object().unwrap_or(&empty);
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let source = text("rule").ok_or_else(|| refuse("a rule without a rule".to_owned()))?;
        for key in ["messageExpression", "optionalOldSelf"] {
            if map.contains_key(key) {
                return Err(refuse(format!("{key} is not supported (rule `{source}`)")));
            }
        }
        if source.len() > LONGEST_RULE {
            return Err(refuse(format!("a rule longer than {LONGEST_RULE} bytes")));
        }
        let program = LANGUAGE
            .compile(source)
            .map_err(|e| refuse(format!("rule `{source}` can't be compiled: {e}")))?;
        let found = cost::survey(program.expression())
            .map_err(|e| refuse(format!("rule `{source}`: {e}")))?;
        if found.is_transition && !correlatable {
            let why = "oldSelf can't be told below a list that isn't a map";
            return Err(refuse(format!("rule `{source}`: {why}")));
        }
        let reason = match text("reason") {
            None | Some("FieldValueInvalid") => CauseReason::Invalid,
            Some("FieldValueForbidden") => CauseReason::Forbidden,
            Some("FieldValueRequired") => CauseReason::Required,
            Some("FieldValueDuplicate") => CauseReason::Duplicate,
            Some(other) => return Err(refuse(format!("no reason is called {other:?}"))),
        };
        let field = text("fieldPath").unwrap_or_default();
        if !field.is_empty() && !field.starts_with('.') {
            return Err(refuse(format!(
                "fieldPath {field:?} has to begin with a dot"
            )));
        }
        let message =
            text("message").map_or_else(|| format!("failed rule: {source}"), str::to_owned);
        Ok(Rule {
            program,
            message,
            reason,
            field: field.to_owned(),
            is_transition: found.is_transition,
            needs: found.needs,
            nesting: found.nesting,
        })
    }
}
