//! The tables of kinds that a real server has compiled in.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::age;
use super::name_column;
use crate::standalone::resource::Nature;

/// A column's heading, whether it is for `-o wide` only, and what it shows.
type Heading = (&'static str, bool, &'static str);

const NAMESPACE: &[Heading] = &[
    ("Status", false, "The status of the namespace"),
    ("Age", false, "How long ago it was made."),
];

const NODE: &[Heading] = &[
    ("Status", false, "The status of the node"),
    ("Roles", false, "The roles of the node"),
    ("Age", false, "How long ago it was made."),
    ("Version", false, "Kubelet Version reported by the node."),
    ("Internal-IP", true, "The node's address inside."),
    ("External-IP", true, "The node's address outside."),
    ("OS-Image", true, "The node's system."),
    ("Kernel-Version", true, "The node's kernel."),
    ("Container-Runtime", true, "What runs containers there."),
];

const LEASE: &[Heading] = &[
    ("Holder", false, "Who holds it."),
    ("Age", false, "How long ago it was made."),
];

const EVENT: &[Heading] = &[
    ("Last Seen", false, "When it happened last."),
    ("Type", false, "Whether it is a warning."),
    ("Reason", false, "Why, in a word."),
    ("Object", false, "The object that this event is about."),
    ("Subobject", true, "The part of the object."),
    ("Source", true, "Who reports it."),
    ("Message", false, "What happened."),
    ("First Seen", true, "When it happened first."),
    ("Count", true, "How often it happened."),
];

/// The columns of a kind's table.
pub(super) fn definitions(nature: Nature) -> Value {
    let column = |(name, wide, description): &Heading| {
        json!({
            "name": name,
            "type": "string",
            "format": "",
            "description": description,
            "priority": i32::from(*wide),
        })
    };
    let headings = match nature {
        Nature::Namespace => NAMESPACE,
        Nature::Node => NODE,
        Nature::Lease => LEASE,
        Nature::Event | Nature::EventV1 => EVENT,
        Nature::Custom | Nature::Empty => &NAMESPACE[1..],
    };
    let rest = headings.iter().map(column);
    if matches!(nature, Nature::Event | Nature::EventV1) {
        let mut name = name_column();
        name["priority"] = json!(1);
        return rest.chain(std::iter::once(name)).collect();
    }
    std::iter::once(name_column()).chain(rest).collect()
}

/// An object's cells.
pub(super) fn cells(nature: Nature, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = object["metadata"]["name"].clone();
    let made = Value::from(age(&object["metadata"]["creationTimestamp"], now));
    match nature {
        Nature::Namespace => vec![name, text(&object["status"]["phase"]), made],
        Nature::Lease => vec![name, text(&object["spec"]["holderIdentity"]), made],
        Nature::Node => node(object, name, made),
        Nature::Event => event(
            object,
            ["involvedObject", "message", "source", ""],
            name,
            now,
        ),
        Nature::EventV1 => event(
            object,
            ["regarding", "note", "deprecatedSource", "deprecated"],
            name,
            now,
        ),
        Nature::Custom | Nature::Empty => vec![name, made],
    }
}

fn text(value: &Value) -> Value {
    Value::from(value.as_str().unwrap_or_default())
}

fn or(value: &Value, instead: &str) -> Value {
    Value::from(value.as_str().filter(|t| !t.is_empty()).unwrap_or(instead))
}

fn node(object: &Value, name: Value, made: Value) -> Vec<Value> {
    let status = &object["status"];
    let conditions = status["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"] == "Ready");
    let mut state = match ready.map(|c| &c["status"]) {
        Some(status) if status == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object["spec"]["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let labels = object["metadata"]["labels"].as_object();
    let roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    let roles = if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    };
    let address = |kind: &str| {
        let addresses = status["addresses"].as_array();
        let found = addresses.into_iter().flatten().find(|a| a["type"] == kind);
        found.map_or_else(|| Value::from("<none>"), |a| or(&a["address"], "<none>"))
    };
    let info = &status["nodeInfo"];
    vec![
        name,
        Value::from(state),
        Value::from(roles),
        made,
        text(&info["kubeletVersion"]),
        address("InternalIP"),
        address("ExternalIP"),
        or(&info["osImage"], "<unknown>"),
        or(&info["kernelVersion"], "<unknown>"),
        or(&info["containerRuntimeVersion"], "<unknown>"),
    ]
}

/// `names` are those of the object it is about, its message and source, and the prefix of the
/// times.
fn event(object: &Value, names: [&str; 4], name: Value, now: Timestamp) -> Vec<Value> {
    let [about, message, source, prefix] = names;
    let prefixed = |field: &str| match prefix {
        "" => &object[field],
        _ => {
            let mut chars = field.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            let rest: String = first.into_iter().chain(chars).collect();
            &object[format!("{prefix}{rest}").as_str()]
        }
    };
    let series = &object["series"];
    let first = match prefixed("firstTimestamp") {
        Value::Null => &object["eventTime"],
        time => time,
    };
    let last = match (&series["lastObservedTime"], prefixed("lastTimestamp")) {
        (Value::Null, Value::Null) => first,
        (Value::Null, last) => last,
        (last, _) => last,
    };
    let count = [&series["count"], prefixed("count")]
        .into_iter()
        .find_map(Value::as_i64);
    let about = &object[about];
    let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
    let target = about["name"].as_str().unwrap_or_default();
    let reporter = [
        &object[source]["component"],
        &object["reportingComponent"],
        &object["reportingController"],
    ];
    let reporter = reporter
        .into_iter()
        .find_map(|v| v.as_str().filter(|t| !t.is_empty()));
    let host = [&object[source]["host"], &object["reportingInstance"]];
    let host = host
        .into_iter()
        .find_map(|v| v.as_str().filter(|t| !t.is_empty()));
    let source: Vec<&str> = reporter.into_iter().chain(host).collect();
    vec![
        Value::from(age(last, now)),
        text(&object["type"]),
        text(&object["reason"]),
        Value::from(format!("{kind}/{target}")),
        text(&about["fieldPath"]),
        Value::from(source.join(", ")),
        Value::from(object[message].as_str().unwrap_or_default().trim()),
        Value::from(age(first, now)),
        Value::from(count.unwrap_or(1)),
        name,
    ]
}
