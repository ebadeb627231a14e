//! Plays exchanges against a server, and notes what was answered otherwise.

use std::collections::BTreeSet;
use std::path::Path;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::compare::Comparison;
use crate::fixture::Exchange;
use crate::known::Known;
use crate::place::{config, plain_client};
use crate::watch::Watching;

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The player.
pub(crate) struct Player {
    admin: Client,
    nobody: Client,
    known: Known,
    /// Objects that had to be made as they were there: how often they were changed is not told.
    remade: BTreeSet<String>,
    /// A watch that goes on while what has the same label is played.
    watching: Option<(Watching, String)>,
    /// Which exchange, and what.
    pub(crate) differences: Vec<(String, String)>,
}

impl Player {
    pub(crate) async fn new(kubeconfig: &Path) -> Self {
        let mut nobody = config(kubeconfig).await;
        nobody.default_retry = false;
        nobody.auth_info = kube::config::AuthInfo::default();
        Self {
            admin: plain_client(kubeconfig).await,
            nobody: Client::try_from(nobody).unwrap(),
            known: Known::default(),
            remade: BTreeSet::new(),
            watching: None,
            differences: Vec::new(),
        }
    }

    /// Asks what was asked, and compares.
    pub(crate) async fn play(&mut self, exchange: &Exchange) {
        if self
            .watching
            .as_ref()
            .is_some_and(|(_, label)| label != exchange.label())
        {
            self.end().await;
        }
        let target = self.known.target(&exchange.target);
        let request = self.request(exchange, &target);
        let client = match exchange.who {
            Some(_) => &self.nobody,
            None => &self.admin,
        };
        let response = client.send(request).await.unwrap();
        if let Some(events) = &exchange.events
            && response.status() == 200
        {
            self.compare_head(exchange, response.status().as_u16(), response.headers());
            let watching = Watching::begin(exchange.name(), events.clone(), response.into_body());
            self.watching = Some((watching, exchange.label().to_owned()));
            if !exchange.live {
                self.end().await;
            }
            return;
        }
        let (head, body) = response.into_parts();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes().into(),
        };
        self.compare(exchange, &answer).await;
    }

    /// Ends the watch that is under way.
    pub(crate) async fn end(&mut self) {
        if let Some((watching, _)) = self.watching.take() {
            let (name, recorded, ours) = watching.end().await;
            self.note(&name, &Value::Array(recorded), &Value::Array(ours));
        }
    }

    fn request(&self, exchange: &Exchange, target: &str) -> Request<Body> {
        let mut request = Request::builder()
            .method(Method::from_bytes(exchange.method.as_bytes()).unwrap())
            .uri(target);
        if let Some(accept) = exchange.accept() {
            request = request.header(ACCEPT, accept);
        }
        if let Some(media) = &exchange.r#type {
            request = request.header(CONTENT_TYPE, media);
        }
        if exchange.who.as_deref() == Some("bad-token") {
            request = request.header(AUTHORIZATION, "Bearer not-a-token");
        }
        let body = match &exchange.body {
            None => Vec::new(),
            Some(Value::String(text)) => text.clone().into(),
            Some(body) => {
                let mut body = self.known.body(body);
                // When it was made here is another time; sent by hand, it is meant to be wrong.
                if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut)
                    && !exchange.label().starts_with("raw")
                {
                    metadata.remove("creationTimestamp");
                }
                if let Some(bytes) = exchange.pad {
                    body["metadata"]["annotations"] = json!({"pad": "x".repeat(bytes)});
                }
                body.to_string().into()
            }
        };
        request.body(Body::from(body)).unwrap()
    }

    async fn compare(&mut self, exchange: &Exchange, answer: &Answer) {
        self.compare_head(exchange, answer.status, &answer.headers);
        let name = exchange.name();
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != exchange.status
            && let Some((_, difference)) = self.differences.last_mut()
        {
            difference.push_str(&format!(": {}", text.trim()));
        }
        let ours: Value = match exchange.answered() {
            "application/yaml" => serde_yaml_ng::from_str(&text).unwrap_or_default(),
            _ => serde_json::from_str(&text).unwrap_or_else(|_| text.clone().into()),
        };
        let recorded = match (&exchange.answer, exchange.answered()) {
            (Some(Value::String(text)), "application/yaml") => {
                let mut value: Value = serde_yaml_ng::from_str(text).unwrap();
                if let Some(metadata) = value["metadata"].as_object_mut() {
                    metadata.remove("managedFields");
                }
                Some(value)
            }
            (recorded, _) => recorded.clone(),
        };
        if let Some(recorded) = &recorded
            && recorded != "<protobuf>"
            && exchange.status == answer.status
        {
            let own = recorded.pointer("/metadata/name").and_then(Value::as_str);
            if let (Some(recorded), Some(ours)) =
                (own, ours.pointer("/metadata/name").and_then(Value::as_str))
                && exchange.label().contains("generateName")
            {
                self.known.text(recorded, ours);
            }
            self.note(&name, recorded, &ours);
        }
        // What went another way here is put right, so that what follows can be compared.
        let was_object = recorded.as_ref().filter(|recorded| is_object(recorded));
        let is_other =
            answer.status != exchange.status || (was_object.is_some() && !is_object(&ours));
        if let Some(object) = was_object
            && exchange.has_written()
            && is_other
        {
            let path = exchange.target.split('?').next().unwrap_or_default();
            let path = match exchange.method.as_str() {
                "POST" => format!(
                    "{path}/{}",
                    object["metadata"]["name"].as_str().unwrap_or_default()
                ),
                _ => path.trim_end_matches("/status").to_owned(),
            };
            self.make_so(&path, Some(object)).await;
        }
    }

    fn compare_head(&mut self, exchange: &Exchange, status: u16, headers: &HeaderMap) {
        let mut differ = |what: String| self.differences.push((exchange.name(), what));
        if status != exchange.status {
            differ(format!("status: {status} instead of {}", exchange.status));
            return;
        }
        let media = headers
            .get(CONTENT_TYPE)
            .map_or("", |media| media.to_str().unwrap());
        let is_protobuf = exchange.answered().contains("protobuf");
        if media.replace("; ", ";") != exchange.answered().replace("; ", ";") && !is_protobuf {
            differ(format!(
                "content type: {media} instead of {}",
                exchange.answered()
            ));
        }
        let warnings: Vec<_> = headers
            .get_all("warning")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        let warnings = warnings.join(", ");
        // The recorder joined several headers so.
        let recorded = exchange
            .warning
            .as_deref()
            .unwrap_or_default()
            .replace(" || ", ", ");
        if warnings != recorded {
            differ(format!("warning: `{warnings}` instead of `{recorded}`"));
        }
    }

    fn note(&mut self, name: &str, recorded: &Value, ours: &Value) {
        let kind = recorded["kind"].as_str().unwrap_or_default();
        let mut comparison = Comparison {
            known: &mut self.known,
            remade: &self.remade,
            object: String::new(),
            is_list: kind.ends_with("List") || kind == "Table",
            differences: Vec::new(),
        };
        comparison.of("", recorded, ours);
        let differences = comparison.differences.into_iter();
        self.differences
            .extend(differences.map(|what| (name.to_owned(), what)));
    }

    /// Makes what is at a path what it was there.
    pub(crate) async fn make_so(&mut self, path: &str, object: Option<&Value>) {
        self.end().await;
        let Some(object) = object else {
            self.remove(path).await;
            return;
        };
        let (collection, name) = path.rsplit_once('/').unwrap();
        self.remade.insert(name.to_owned());
        let mut new = object.clone();
        let metadata = new["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| {
            ["name", "namespace", "labels", "annotations", "finalizers"].contains(&key.as_str())
        });
        let (kind, version) = kind_of(collection);
        new["kind"] = kind.into();
        new["apiVersion"] = version.into();
        let json = Some("application/json");
        // If it can be changed it is, so that others' references to it stay good.
        let there = self.ask("GET", path, None, &Value::Null).await;
        new["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
        let mut made = self.ask("PUT", path, json, &new).await;
        if made["kind"] == "Status" || made["metadata"]["deletionTimestamp"].is_string() {
            self.remove(path).await;
            new["metadata"]["resourceVersion"].take();
            made = self.ask("POST", collection, json, &new).await;
        }
        assert!(made["metadata"]["uid"].is_string(), "{path}: {made}");
        if let Some(status) = object.get("status").filter(|_| path.contains("weir.dev")) {
            let status = json!({"status": status});
            let path = format!("{path}/status");
            let merge = Some("application/merge-patch+json");
            made = self.ask("PATCH", &path, merge, &status).await;
        }
        if object["metadata"]["deletionTimestamp"].is_string() {
            made = self.ask("DELETE", path, None, &Value::Null).await;
        }
        let (recorded, ours) = (&object["metadata"], &made["metadata"]);
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        self.known.text(&text(recorded, "uid"), &text(ours, "uid"));
        let _ = self.known.version(
            &text(recorded, "resourceVersion"),
            &text(ours, "resourceVersion"),
        );
    }

    /// Removes what is at a path, whoever holds it.
    async fn remove(&self, path: &str) {
        let unhold = json!({"metadata": {"finalizers": null}});
        let merge = Some("application/merge-patch+json");
        let _ = self.ask("PATCH", path, merge, &unhold).await;
        let _ = self.ask("DELETE", path, None, &Value::Null).await;
    }

    async fn ask(&self, method: &str, path: &str, media: Option<&str>, body: &Value) -> Value {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(media) = media {
            request = request.header(CONTENT_TYPE, media);
        }
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into(),
        };
        let response = self
            .admin
            .send(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// Whether it is an object with a name of its own.
fn is_object(value: &Value) -> bool {
    value.pointer("/metadata/name").is_some() && value["kind"] != "Status"
}

/// The kind of what is in a collection.
fn kind_of(collection: &str) -> (&'static str, &'static str) {
    match collection.rsplit('/').next().unwrap_or_default() {
        "storagepools" => ("StoragePool", "weir.dev/v1alpha1"),
        "volumes" => ("Volume", "weir.dev/v1alpha1"),
        "leases" => ("Lease", "coordination.k8s.io/v1"),
        "namespaces" => ("Namespace", "v1"),
        "nodes" => ("Node", "v1"),
        _ if collection.contains("events.k8s.io") => ("Event", "events.k8s.io/v1"),
        _ => ("Event", "v1"),
    }
}
