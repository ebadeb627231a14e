//! Two bodies, and where they differ.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::known::Known;

/// Compares, and learns from what the servers may choose.
pub(crate) struct Comparison<'a> {
    pub(crate) known: &'a mut Known,
    /// Objects that had to be made anew: how often they were changed is not told.
    pub(crate) remade: &'a BTreeSet<String>,
    /// The object that is compared just now.
    pub(crate) object: String,
    /// Whether it is a list, or a table of one, whose version is the moment's.
    pub(crate) is_list: bool,
    pub(crate) differences: Vec<String>,
}

type Members = serde_json::Map<String, Value>;

/// Members whose values are the server's own choice: only their types count.
const CHOSEN: [&str; 13] = [
    "creationTimestamp",
    "deletionTimestamp",
    "description",
    "storageVersionHash",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "platform",
    "minor",
    "hash",
    "compiler",
];

impl Comparison<'_> {
    /// Notes every difference between what was recorded and what ours answered.
    pub(crate) fn of(&mut self, at: &str, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(_), Value::Object(_)) => self.objects(at, recorded, ours),
            (Value::Array(recorded), Value::Array(ours)) => self.arrays(at, recorded, ours),
            (Value::String(recorded), Value::String(ours)) => self.texts(at, recorded, ours),
            (recorded, ours) if recorded == ours => {}
            (Value::Number(_), Value::Number(_))
                if at.ends_with("eneration") && self.remade.contains(&self.object) => {}
            (recorded, ours) => self.differ(
                at,
                &format!("{} instead of {}", short(ours), short(recorded)),
            ),
        }
    }

    fn objects(&mut self, at: &str, recorded: &Value, ours: &Value) {
        let outer = self.object.clone();
        if let Some(name) = recorded.pointer("/metadata/name").and_then(Value::as_str) {
            self.object = name.to_owned();
        }
        if let (Some(recorded), Some(ours)) = (recorded.as_object(), ours.as_object()) {
            self.members(at, recorded, ours);
        }
        self.object = outer;
    }

    fn members(&mut self, at: &str, recorded: &Members, ours: &Members) {
        let kind = |of: &Members| of.get("kind").cloned();
        if at.is_empty() && kind(recorded) != kind(ours) {
            let what = format!("{:?} instead of {:?}", kind(ours), kind(recorded));
            self.differ(".kind", &what);
            return;
        }
        for (key, value) in recorded {
            let at = format!("{at}.{key}");
            match ours.get(key) {
                Some(ours) => self.of(&at, value, ours),
                // An absent token and an empty one say the same.
                None if key == "continue" && value == "" => {}
                None => self.differ(&at, &format!("missing, was {}", short(value))),
            }
        }
        for (key, value) in ours {
            if !recorded.contains_key(key)
                && key != "managedFields"
                && !(key == "continue" && value == "")
            {
                self.differ(
                    &format!("{at}.{key}"),
                    &format!("not there, now {}", short(value)),
                );
            }
        }
    }

    fn arrays(&mut self, at: &str, recorded: &[Value], ours: &[Value]) {
        let (mut recorded, mut ours) = (recorded.to_vec(), ours.to_vec());
        if at.ends_with(".causes") {
            // It says that rules were not asked; 1.20 does not say it either.
            recorded.retain(|cause| cause["field"] != "<nil>");
            // Some it finds twice.
            recorded.dedup();
        }
        if at.ends_with(".causes") || at.ends_with(".verbs") || at.ends_with(".paths") {
            recorded.sort_by_key(ToString::to_string);
            ours.sort_by_key(ToString::to_string);
        }
        let is_named = recorded
            .iter()
            .chain(&ours)
            .all(|item| name(item).is_some());
        if is_named && !at.ends_with(".rows") && !at.ends_with("columnDefinitions") {
            self.named(at, &recorded, &ours);
            return;
        }
        if recorded.len() != ours.len() {
            let what = format!(
                "{} instead of {}: {}",
                ours.len(),
                recorded.len(),
                short(&ours.clone().into())
            );
            self.differ(at, &what);
            return;
        }
        for (place, (recorded, ours)) in recorded.iter().zip(&ours).enumerate() {
            self.of(&format!("{at}[{place}]"), recorded, ours);
        }
    }

    /// Items that have names: in the same order, each of them.
    fn named(&mut self, at: &str, recorded: &[Value], ours: &[Value]) {
        for item in recorded {
            let wanted = name(item);
            let at = format!("{at}[{}]", wanted.clone().unwrap_or_default());
            match ours.iter().find(|ours| name(ours) == wanted) {
                Some(ours) => self.of(&at, item, ours),
                None => self.differ(&at, "missing"),
            }
        }
        for item in ours {
            let found = name(item);
            if !recorded.iter().any(|recorded| name(recorded) == found) {
                self.differ(&format!("{at}[{}]", found.unwrap_or_default()), "not there");
            }
        }
    }

    fn texts(&mut self, at: &str, recorded: &str, ours: &str) {
        let key = at.rsplit('.').next().unwrap_or_default();
        match key {
            key if CHOSEN.contains(&key) => {}
            "resourceVersion" if at.ends_with(".metadata.resourceVersion") => {
                if self.is_list && at == ".metadata.resourceVersion" {
                    self.known.list(recorded, ours);
                } else if !self.known.version(recorded, ours) {
                    self.differ(
                        at,
                        "another one although nothing was changed, or none though it was",
                    );
                }
            }
            "uid" | "continue" => self.known.text(recorded, ours),
            "message" => {
                let (recorded, ours) = (message(recorded), message(ours));
                if recorded != ours {
                    self.differ(at, &format!("`{ours}` instead of `{recorded}`"));
                }
            }
            _ if recorded == ours || self.known.body(&recorded.into()) == ours => {}
            _ if at.contains(".cells[") && is_age(recorded) && is_age(ours) => {}
            _ => self.differ(at, &format!("`{ours}` instead of `{recorded}`")),
        }
    }

    fn differ(&mut self, at: &str, what: &str) {
        self.differences.push(format!("{at}: {what}"));
    }
}

/// What an item of a list is known by.
fn name(item: &Value) -> Option<String> {
    let places = [
        "/metadata/name",
        "/name",
        "/resource",
        "/subresource",
        "/groupVersion",
        "/version",
    ];
    let named = places
        .iter()
        .find_map(|place| item.pointer(place)?.as_str());
    match named {
        Some(name) => Some(name.to_owned()),
        // The core's group has none.
        None if item.get("versions").is_some() => Some(String::new()),
        None => None,
    }
}

/// A message without what differs from server to server: UIDs, versions, the order of complaints.
fn message(text: &str) -> String {
    if let Some((begin, _)) = text.split_once(" is invalid: ") {
        return format!("{begin} is invalid"); // The causes say the rest.
    }
    if let Some((begin, rest)) = text.split_once("Invalid value: \"{") {
        // A whole object, with all that is the server's own choice.
        let end = rest.rsplit_once("}\": ").map_or("", |(_, end)| end);
        return format!("{begin}Invalid value: … {end}");
    }
    let words = text.split_inclusive([' ', '(', ')', ',']);
    let word = |word: &str| {
        let bare = word.trim_matches([' ', '(', ')', ',', ':', '.']);
        let is_uid = bare.len() == 36 && bare.split('-').count() == 5;
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        match is_uid || (is_number && text.contains("esource")) {
            true => word.replace(bare, "…"),
            false => word.to_owned(),
        }
    };
    words.map(word).collect()
}

fn is_age(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"smhdy".contains(&byte))
        && text.ends_with(['s', 'm', 'h', 'd', 'y'])
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
