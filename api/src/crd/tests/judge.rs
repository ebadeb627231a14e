//! Whether an API server would take an object: defaults, schema, rules. As much of a server as the tests
//! here need; the standalone API has its own.

use cel::{Context, Program, Value as Cel};
use serde_json::{Map, Value};

/// Why a new object of this kind is refused: a line each, the field and what is wrong with it.
pub(super) fn create(kind: &str, object: &Value) -> Vec<String> {
    judge(kind, object, None)
}

/// Why a change is refused.
pub(super) fn update(kind: &str, old: &Value, new: &Value) -> Vec<String> {
    judge(kind, new, Some(old))
}

fn judge(kind: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let schema = super::schema(kind);
    let filled = |object: &Value| {
        let mut object = object.clone();
        fill(&schema, &mut object);
        object
    };
    let (object, old) = (filled(object), old.map(filled));
    let mut refusals = Vec::new();
    // The definition says nothing of metadata: an API server knows it.
    let validator = jsonschema::validator_for(&schema).unwrap();
    for error in validator.iter_errors(&object) {
        let field = error.instance_path().to_string();
        refusals.push(format!(
            "{}: {error}",
            field.trim_start_matches('/').replace('/', ".")
        ));
    }
    unknown(&schema, &object, "", &mut refusals);
    rules(&schema, &object, old.as_ref(), "", &mut refusals);
    refusals
}

/// Puts defaults where nothing is.
pub(super) fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let none = Map::new();
            for (name, inner) in schema["properties"].as_object().unwrap_or(&none) {
                if let Some(default) = inner.get("default").filter(|_| !fields.contains_key(name)) {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    fill(inner, field);
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}

fn unknown(schema: &Value, value: &Value, path: &str, refusals: &mut Vec<String>) {
    match (value, &schema["properties"]) {
        (Value::Object(fields), Value::Object(properties)) => {
            for (name, field) in fields {
                let at = join(path, name);
                match properties.get(name) {
                    Some(inner) => unknown(inner, field, &at, refusals),
                    None if path.is_empty() => {}
                    None => refusals.push(format!("{at}: unknown field")),
                }
            }
        }
        (Value::Array(items), _) => {
            for item in items {
                unknown(&schema["items"], item, &format!("{path}[]"), refusals);
            }
        }
        _ => {}
    }
}

fn rules(schema: &Value, new: &Value, old: Option<&Value>, path: &str, refusals: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = rule["rule"].as_str().unwrap();
        if text.contains("oldSelf") && old.is_none() {
            continue;
        }
        let mut context = Context::default();
        context.add_variable_from_value("self", to_cel(new));
        if let Some(old) = old {
            context.add_variable_from_value("oldSelf", to_cel(old));
        }
        let said = Program::compile(text).unwrap().execute(&context);
        if said != Ok(Cel::Bool(true)) {
            assert_eq!(said, Ok(Cel::Bool(false)), "{path}: {text}");
            let field = rule["fieldPath"].as_str().unwrap_or_default();
            let at = format!("{path}{field}");
            let message = rule["message"].as_str().unwrap();
            refusals.push(format!("{}: {message}", at.trim_start_matches('.')));
        }
    }
    match new {
        Value::Object(fields) => {
            let none = Map::new();
            for (name, inner) in schema["properties"].as_object().unwrap_or(&none) {
                if let Some(field) = fields.get(name) {
                    let old = old.and_then(|old| old.get(name));
                    rules(inner, field, old, &join(path, name), refusals);
                }
            }
        }
        Value::Array(items) => {
            let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .map(|keys| keys.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            if !keys.is_empty() {
                let key =
                    |item: &Value| keys.iter().map(|k| item[k].to_string()).collect::<String>();
                let mut all: Vec<String> = items.iter().map(key).collect();
                all.sort();
                let count = all.len();
                all.dedup();
                if all.len() < count {
                    refusals.push(format!("{path}: duplicate value"));
                }
            }
            for item in items {
                let same = |other: &&Value| keys.iter().all(|key| other[key] == item[key]);
                let old = old
                    .and_then(Value::as_array)
                    .filter(|_| !keys.is_empty())
                    .and_then(|old| old.iter().find(same));
                rules(&schema["items"], item, old, &format!("{path}[]"), refusals);
            }
        }
        _ => {}
    }
}

/// Integers are CEL's `int`, also where serde_json keeps them unsigned.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Number(number) => number.as_i64().map_or(Cel::Null, Cel::Int),
        Value::Array(items) => Cel::from(items.iter().map(to_cel).collect::<Vec<_>>()),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| (name.clone(), to_cel(field)));
            Cel::from(fields.collect::<std::collections::HashMap<String, Cel>>())
        }
        Value::String(text) => Cel::from(text.clone()),
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Null => Cel::Null,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
