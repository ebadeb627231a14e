//! Discovery and OpenAPI, made once at the start.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Response, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer;
use super::body::Body;
use crate::standalone::request::accept;
use crate::standalone::request::path::{GroupVersion, Target};
use crate::standalone::resource::Resource;
use crate::standalone::{discovery, openapi};

/// A document and the tag by which clients ask whether it changed.
struct Document {
    media: &'static str,
    bytes: Bytes,
    hash: String,
    tag: HeaderValue,
}

/// Every document, by path.
pub(super) struct Documents {
    plain: HashMap<String, Document>,
    aggregated: HashMap<&'static str, Document>,
}

impl Document {
    fn new(media: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = Sha256::digest(&bytes);
        let hash: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let tag = HeaderValue::from_str(&format!("\"{hash}\""));
        Self {
            media,
            bytes,
            hash,
            tag: tag.unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    fn json(value: &Value) -> Self {
        Self::new(answer::JSON, format!("{value}\n"))
    }

    fn send(&self, headers: &HeaderMap) -> Response<Body> {
        let known = headers.get(header::IF_NONE_MATCH);
        answer::document(self.media, self.bytes.clone(), &self.tag, known)
    }
}

impl Documents {
    pub(super) fn of(resources: &[Arc<Resource>]) -> Self {
        let mut plain = HashMap::new();
        let mut add = |path: String, document: Document| {
            plain.insert(path, document);
        };
        add(
            "/api".to_owned(),
            Document::json(&discovery::core_versions()),
        );
        add(
            "/apis".to_owned(),
            Document::json(&discovery::group_list(resources)),
        );
        let mut index = Vec::new();
        let mut pairs = openapi::group_versions(resources);
        let reviews = crate::standalone::review::KINDS;
        for (group, _, _) in &reviews {
            let pair = (*group, crate::standalone::review::VERSION);
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        for (group, version) in pairs {
            let key = openapi::key(group, version);
            if let Some(list) = discovery::resource_list(resources, group, version) {
                add(format!("/{key}"), Document::json(&list));
            }
            if let Some(value) = discovery::group(resources, group) {
                add(format!("/apis/{group}"), Document::json(&value));
            }
            let document = Document::json(&openapi::v3(resources, group, version));
            index.push((key.clone(), document.hash.clone()));
            add(format!("/openapi/v3/{key}"), document);
        }
        let index = openapi::v3_index(index);
        add("/openapi/v3".to_owned(), Document::json(&index));
        add(
            "/openapi/v2".to_owned(),
            Document::json(&openapi::v2_json()),
        );
        let mut aggregated = HashMap::new();
        for (path, is_core) in [("/api", true), ("/apis", false)] {
            let value = discovery::aggregated(resources, is_core);
            let document = Document::new(discovery::AGGREGATED, format!("{value}\n"));
            aggregated.insert(path, document);
        }
        let protobuf = Document::new(openapi::V2_MEDIA, openapi::v2(resources));
        aggregated.insert("/openapi/v2", protobuf);
        Self { plain, aggregated }
    }

    /// Every path, in order.
    pub(super) fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<&str> = self.plain.keys().map(String::as_str).collect();
        paths.sort_unstable();
        paths
    }

    /// The answer to a path that is a document's; `None`: it is none.
    pub(super) fn answer(&self, target: &Target, headers: &HeaderMap) -> Option<Response<Body>> {
        let path = match target {
            Target::CoreVersions => "/api".to_owned(),
            Target::Groups => "/apis".to_owned(),
            Target::Group(group) => format!("/apis/{group}"),
            Target::GroupVersion(GroupVersion { group, version }) => {
                format!("/{}", openapi::key(group, version))
            }
            Target::OpenApiV2 => "/openapi/v2".to_owned(),
            Target::OpenApiV3Index => "/openapi/v3".to_owned(),
            Target::OpenApiV3(GroupVersion { group, version }) => {
                format!("/openapi/v3/{}", openapi::key(group, version))
            }
            _ => return None,
        };
        let other = self.aggregated.get(path.as_str());
        let other = other.filter(|document| wants(headers, document.media));
        let document = other.or_else(|| self.plain.get(&path));
        Some(match document {
            Some(document) => document.send(headers),
            None => answer::unknown_path(),
        })
    }
}

/// Whether a client asks for the other form of a document before JSON.
fn wants(headers: &HeaderMap, media: &str) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let first = accept::entries(accept.unwrap_or_default()).find_map(|entry| {
        let is_plain = matches!(entry.kind, "application/json" | "*/*" | "application/*")
            && entry.parameter("as").is_none();
        let is_other = if media == openapi::V2_MEDIA {
            entry.kind == openapi::V2_ASKED || entry.kind == media
        } else {
            entry.kind == answer::JSON
                && entry.parameter("as") == Some("APIGroupDiscoveryList")
                && entry.parameter("g") == Some("apidiscovery.k8s.io")
                && entry.parameter("v") == Some("v2")
        };
        (is_plain || is_other).then_some(is_other)
    });
    first.unwrap_or(false)
}

/// `GET /healthz` and its like.
pub(super) fn health(name: &str, is_verbose: bool) -> Response<Body> {
    let text = if is_verbose {
        format!("[+]ping ok\n[+]store ok\n{name} check passed\n")
    } else {
        "ok".to_owned()
    };
    answer::text(StatusCode::OK, text)
}
