//! Rules, evaluated on an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::{Context, Value as Cel};
use serde_json::Value;

use super::value::convert;
use super::{LANGUAGE, Rule};
use crate::standalone::error::{Cause, CauseReason};
use crate::standalone::schema::{ListType, Node, Path};

/// A rule's work is bounded by what it looks at, to the power of its loops: about a tenth of a
/// second at most.
const MOST_WORK: usize = 200_000;

/// More causes than this help nobody.
const MOST_CAUSES: usize = 100;

/// Evaluates every rule of a schema on an object; `old` is the object before an update.
pub(crate) fn evaluate(root: &Node, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if root.has_rules {
        visit(root, object, old, &Path::Root, &mut causes);
    }
    causes
}

fn visit(
    node: &Node,
    value: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    causes: &mut Vec<Cause>,
) {
    if value.is_null() || causes.len() >= MOST_CAUSES {
        return;
    }
    for rule in &node.rules {
        match (rule.is_transition, old.filter(|o| !o.is_null())) {
            (true, None) => {}
            (true, old @ Some(_)) => causes.extend(rule.judge(node, value, old, path)),
            (false, _) => causes.extend(rule.judge(node, value, None, path)),
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let old = old.and_then(|o| o.get(key));
                match (node.properties.get(key), node.additional.as_deref()) {
                    (Some(below), _) if below.has_rules => {
                        visit(below, value, old, &Path::Field(path, key), causes);
                    }
                    (None, Some(below)) if below.has_rules => {
                        visit(below, value, old, &Path::Entry(path, key), causes);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(below) = node.items.as_deref().filter(|n| n.has_rules) else {
                return;
            };
            let before = by_key(&node.list, old);
            for (index, item) in items.iter().enumerate() {
                let old = key_of(&node.list, item).and_then(|k| before.get(&k).copied());
                visit(below, item, old, &Path::Index(path, index), causes);
            }
        }
        _ => {}
    }
}

/// The items of a list of type map as they were, by their keys.
fn by_key<'a>(list: &ListType, old: Option<&'a Value>) -> BTreeMap<String, &'a Value> {
    let items = old.and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(|item| Some((key_of(list, item)?, item)))
        .collect()
}

fn key_of(list: &ListType, item: &Value) -> Option<String> {
    let ListType::Map(keys) = list else {
        return None;
    };
    let values: Vec<_> = keys.iter().map(|k| item.get(k)).collect();
    serde_json::to_string(&values).ok()
}

impl Rule {
    /// The cause, if the rule refuses the value.
    fn judge(
        &self,
        node: &Node,
        value: &Value,
        old: Option<&Value>,
        path: &Path<'_>,
    ) -> Option<Cause> {
        let mut weight = 0;
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        let is_root = path.is_root();
        let this = convert(Some(node), value, &self.needs, is_root, &mut weight);
        context.add_variable_from_value("self", this);
        if let Some(old) = old {
            let old = convert(Some(node), old, &self.needs, is_root, &mut weight);
            context.add_variable_from_value("oldSelf", old);
        }
        let why = if weight
            .checked_pow(self.nesting.max(1))
            .is_none_or(|work| work > MOST_WORK)
        {
            format!(
                "rule evaluation error: too much to look at: {}",
                self.message
            )
        } else {
            match self.program.execute(&context) {
                Ok(Cel::Bool(true)) => return None,
                Ok(Cel::Bool(false)) => self.message.clone(),
                Ok(_) => "rule evaluation error: neither true nor false".to_owned(),
                Err(error) => format!("rule evaluation error: {error}"),
            }
        };
        let field = self.place(path);
        Some(match self.reason {
            CauseReason::Forbidden => Cause::forbidden(field, &why),
            CauseReason::Required => Cause::required(field, &why),
            CauseReason::Duplicate => Cause::duplicate(field, value),
            _ => Cause::invalid(field, value, &why),
        })
    }

    /// The field that the rule is about. The object itself is `<nil>`, as it is in a real server.
    fn place(&self, path: &Path<'_>) -> String {
        let place = format!("{path}{}", self.field);
        match place.trim_start_matches('.') {
            "" => "<nil>".to_owned(),
            place => place.to_owned(),
        }
    }
}
