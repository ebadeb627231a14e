//! A line of the transcript.

use serde::Deserialize;
use serde_json::Value;

/// A line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Given(Given),
    Exchange(Box<Exchange>),
}

/// Something that was there by then, or was not.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    /// Its path.
    pub(crate) given: String,
    /// `None`: it was gone.
    pub(crate) object: Option<Value>,
}

/// A request, and what was answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    label: String,
    seq: u32,
    pub(crate) method: String,
    pub(crate) target: String,
    accept: Option<String>,
    /// The media type of its body.
    pub(crate) r#type: Option<String>,
    /// Who asked: `nobody` and `bad-token` show no certificate.
    pub(crate) who: Option<String>,
    /// JSON, or a text as it was sent.
    pub(crate) body: Option<Value>,
    /// An annotation of so many bytes was in the body.
    pub(crate) pad: Option<usize>,
    pub(crate) status: u16,
    /// JSON, or a text.
    pub(crate) answer: Option<Value>,
    /// The media type of the answer, unless it is JSON's.
    answered: Option<String>,
    /// The header `Warning`.
    pub(crate) warning: Option<String>,
    /// What a watch said.
    pub(crate) events: Option<Vec<Value>>,
    /// Whether what follows with the same label happened during the watch.
    #[serde(default)]
    pub(crate) live: bool,
}

/// What kubectl accepts when it prints for people.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,\
                     application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
/// What kubectl accepts when it finds out what there is.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                         application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

impl Exchange {
    /// How it is named in the list of deviations: who did what, and its number in the recording.
    pub(crate) fn name(&self) -> String {
        format!("{} #{}", self.label, self.seq)
    }

    /// What it was part of.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn accept(&self) -> Option<&str> {
        match self.accept.as_deref()? {
            "TABLE" => Some(TABLE),
            "DISCOVERY" => Some(DISCOVERY),
            other => Some(other),
        }
    }

    pub(crate) fn answered(&self) -> &str {
        self.answered.as_deref().unwrap_or("application/json")
    }

    /// Whether it changed something there.
    pub(crate) fn has_written(&self) -> bool {
        let dry = self.target.contains("dryRun")
            || self
                .body
                .as_ref()
                .is_some_and(|body| body.get("dryRun").is_some());
        self.status < 300 && self.method != "GET" && !dry
    }
}
