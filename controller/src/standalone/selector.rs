//! Label and field selectors.

mod field;
mod label;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::resource::{Nature, Resource};
use super::store::indexed::Indexed;
pub use field::FieldSelector;
pub use label::LabelSelector;

/// What the store keeps of an object for selectors. The object is in the shape it is stored in.
///
/// Fields that aren't set are left out: to a selector, that is the same as being empty.
#[must_use]
pub fn indexed(resource: &Resource, object: &Value) -> Indexed {
    let metadata = &object["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
    let fields = resource.selectable.iter().filter_map(|field| {
        let value = value_of(object, field, resource.nature);
        (!value.is_empty()).then(|| (field.clone(), value))
    });
    Indexed {
        namespace: text("namespace"),
        name: text("name"),
        labels: labels.collect(),
        fields: fields.collect(),
    }
}

/// The text of a field that can be selected by; empty when it isn't set.
fn value_of(object: &Value, field: &str, nature: Nature) -> String {
    let at = |path: &str| path.split('.').fold(object, |value, name| &value[name]);
    let value = match (nature, field) {
        // An event's source is told by the component, or by who reports it.
        (Nature::Event | Nature::EventV1, "source") => match at("source.component") {
            Value::Null => at("reportingComponent"),
            component => component,
        },
        // Whether a node takes pods is always one or the other.
        (Nature::Node, "spec.unschedulable") if at(field).is_null() => &Value::Bool(false),
        _ => at(field),
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => String::new(),
    }
}
