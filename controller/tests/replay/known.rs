//! What the recorded server chose, and what ours chose in its place: versions, UIDs, names, tokens.

use std::collections::BTreeMap;

use serde_json::Value;

/// From recorded to ours.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// UIDs, generated names and tokens, which are unmistakable.
    texts: BTreeMap<String, String>,
    /// Objects' versions.
    versions: BTreeMap<String, String>,
    /// Lists' versions.
    lists: BTreeMap<String, String>,
}

impl Known {
    /// Notes a UID, a token or a name.
    pub(crate) fn text(&mut self, recorded: &str, ours: &str) {
        if !recorded.is_empty() {
            self.texts.insert(recorded.to_owned(), ours.to_owned());
        }
    }

    /// Notes an object's version; `false`: it was another one before.
    pub(crate) fn version(&mut self, recorded: &str, ours: &str) -> bool {
        let before = self.versions.insert(recorded.to_owned(), ours.to_owned());
        before.is_none_or(|before| before == ours)
    }

    /// Notes a list's version.
    pub(crate) fn list(&mut self, recorded: &str, ours: &str) {
        self.lists.insert(recorded.to_owned(), ours.to_owned());
    }

    /// A request's target, for ours.
    pub(crate) fn target(&self, recorded: &str) -> String {
        let mut target = recorded.to_owned();
        for (recorded, ours) in &self.texts {
            target = target.replace(recorded, ours);
        }
        let Some((path, query)) = target.split_once('?') else {
            return target;
        };
        let pair = |pair: &str| match pair.split_once('=') {
            Some(("resourceVersion", version)) => {
                let ours = self
                    .lists
                    .get(version)
                    .or_else(|| self.versions.get(version));
                format!("resourceVersion={}", ours.map_or(version, String::as_str))
            }
            _ => pair.to_owned(),
        };
        let query: Vec<_> = query.split('&').map(pair).collect();
        format!("{path}?{}", query.join("&"))
    }

    /// A body, for ours.
    pub(crate) fn body(&self, recorded: &Value) -> Value {
        match recorded {
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    let version = value.as_str().filter(|_| key == "resourceVersion");
                    let ours = version.and_then(|version| self.versions.get(version));
                    let value = ours.map_or_else(|| self.body(value), |ours| ours.as_str().into());
                    (key.clone(), value)
                };
                Value::Object(members.iter().map(member).collect())
            }
            Value::Array(items) => items.iter().map(|item| self.body(item)).collect(),
            Value::String(text) => {
                let ours = self.texts.get(text);
                ours.map_or_else(|| text.as_str().into(), |ours| ours.as_str().into())
            }
            other => other.clone(),
        }
    }
}
