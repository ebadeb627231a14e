//! Writing: create, update, patch.

use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer;
use super::asked::Asked;
use super::body::Body;
use super::intake::Intake;
use super::read;
use super::{Answered, Api};
use crate::standalone::error::ApiError;
use crate::standalone::patch::Patch;
use crate::standalone::protobuf;
use crate::standalone::request::options::WriteOptions;
use crate::standalone::resource::Nature;
use crate::standalone::selector::indexed;
use crate::standalone::store::{self, CommitError, Expected, Stored};
use crate::standalone::write::{self, Accepted, BodyType, Change, Writer};

/// How often a write is tried again when others write the same object in between.
const ATTEMPTS: usize = 64;

/// How often another name is made when the one that was made is taken.
const NAMES: usize = 8;

/// The body of a POST or PUT as an object.
pub(super) fn read_body(asked: &Asked, intake: &Intake) -> Result<write::Body, ApiError> {
    let media = asked.headers.get(header::CONTENT_TYPE);
    let media = media.map_or(Ok(""), |media| media.to_str());
    let media = media.map_err(|_| ApiError::unsupported_media_type(""))?;
    let kind = &asked.resource.kind;
    let of = |body_type| write::parse_body_of(&intake.bytes, body_type, kind);
    match media.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => of(BodyType::Json),
        "application/yaml" => of(BodyType::Yaml),
        protobuf::MEDIA_TYPE if asked.resource.nature != Nature::Custom => {
            let value = protobuf::decode(&intake.bytes);
            let value = value.map_err(|error| ApiError::bad_request(error.to_string()))?;
            Ok(write::Body {
                value,
                duplicates: Vec::new(),
            })
        }
        other => Err(ApiError::unsupported_media_type(other)),
    }
}

fn writer<'a>(asked: &'a Asked, options: WriteOptions, duplicates: &'a [String]) -> Writer<'a> {
    Writer {
        resource: &asked.resource,
        now: asked.now,
        validation: options.validation,
        field_manager: asked.field_manager(),
        duplicates,
    }
}

/// `create`
pub(super) async fn create(api: &Api, asked: &Asked, intake: &Intake) -> Answered {
    let options = WriteOptions::parse(&asked.query, "CreateOptions")?;
    let body = read_body(asked, intake)?;
    let namespace = asked.path.namespace.as_deref();
    if asked.resource.namespaced && namespace.is_none() {
        let message = "an empty namespace may not be set during creation";
        return Err(ApiError::bad_request(message));
    }
    if let Some(name) = &asked.path.name {
        let found = body.value.pointer("/metadata/name").and_then(Value::as_str);
        let found = found.unwrap_or_default();
        if found != name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({name})"
            )));
        }
    }
    let is_named = body
        .value
        .pointer("/metadata/name")
        .is_some_and(|name| *name != "");
    let writer = writer(asked, options, &body.duplicates);
    // Held over the commit, so that a namespace that is deleted meanwhile waits for it.
    let _namespaces = api.namespaces.read().await;
    for _ in 0..NAMES {
        let accepted = writer.create(namespace, body.value.clone(), Uuid::new_v4())?;
        let name = accepted.object.pointer("/metadata/name");
        let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(namespace) = namespace {
            api.refuse_ending(&asked.of(), &name, namespace)?;
        }
        asked.check(api, &accepted.object)?;
        let key = asked.key(&name);
        if options.is_dry_run {
            if api.store.get(&key).is_some() {
                return Err(ApiError::already_exists(&asked.of(), &name));
            }
            let object = asked.presenter.translate(accepted.object);
            let response = read::single(asked, StatusCode::CREATED, object);
            return Ok(with(response, &accepted.warnings));
        }
        let change = store::Change::Put {
            indexed: indexed(&asked.resource, &accepted.object),
            object: accepted.object,
            key,
            expected: Expected::Absent,
        };
        match api.store.commit(change).await {
            Ok(stored) => {
                let response = read::stored(asked, StatusCode::CREATED, &stored);
                return Ok(with(response, &accepted.warnings));
            }
            Err(CommitError::Mismatch { .. }) if !is_named => {}
            Err(CommitError::Mismatch { current }) => {
                let is_ending = current.is_some_and(|current| is_ending(&current));
                return Err(if is_ending {
                    ApiError::being_deleted(&asked.of(), &name)
                } else {
                    ApiError::already_exists(&asked.of(), &name)
                });
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(ApiError::already_exists(&asked.of(), asked.name()))
}

/// `update`
pub(super) async fn update(api: &Api, asked: &Asked, intake: &Intake) -> Answered {
    let options = WriteOptions::parse(&asked.query, "UpdateOptions")?;
    let body = read_body(asked, intake)?;
    let writer = writer(asked, options, &body.duplicates);
    write(api, asked, options, |old| {
        writer.update(old, asked.name(), body.value.clone(), asked.part)
    })
    .await
}

/// `patch`
pub(super) async fn patch(api: &Api, asked: &Asked, intake: &Intake) -> Answered {
    let (patch, duplicates) = Patch::parse_strictly(media_type(asked), &intake.bytes)?;
    let options = WriteOptions::parse(&asked.query, "PatchOptions")?;
    let writer = writer(asked, options, &duplicates);
    write(api, asked, options, |old| {
        writer.patch(old, &patch, asked.part)
    })
    .await
}

/// Refuses patches of other types than those that are applied, before their bodies are read.
///
/// # Errors
/// 415, with the types that are. Server-side apply is not among them: what it promises hangs on who
/// owns which field, and that is not kept. `kubectl apply --server-side` then ends with "Server-side apply
/// not available on the server" and kube-rs' `Patch::Apply` with an API error of code 415; neither falls
/// back, nor tries again. `kubectl apply` without the flag uses merge patches, and works.
pub(super) fn check_patch_type(asked: &Asked) -> Result<(), ApiError> {
    const CUSTOM: &[&str] = &[
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    const BUILT_IN: &[&str] = &[
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    let accepted = if asked.resource.nature == Nature::Custom {
        CUSTOM
    } else {
        BUILT_IN
    };
    if accepted.contains(&media_type(asked)) {
        Ok(())
    } else {
        Err(ApiError::unsupported_media_type_but(accepted))
    }
}

fn media_type(asked: &Asked) -> &str {
    let media = asked.headers.get(header::CONTENT_TYPE);
    let media = media
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    media.split(';').next().unwrap_or_default().trim()
}

/// Changes an object: whatever it is now, until nobody wrote in between.
async fn write(
    api: &Api,
    asked: &Asked,
    options: WriteOptions,
    change: impl Fn(&Value) -> Result<Accepted, ApiError>,
) -> Answered {
    let name = asked.name();
    for _ in 0..ATTEMPTS {
        let found = asked.find(api)?;
        let old = object(&found);
        asked.check(api, &old)?;
        let accepted = change(&old)?;
        asked.check_change(api, &old, &accepted.object)?;
        let version = json!(found.revision.to_string());
        if options.is_dry_run || accepted.change == Change::Unchanged {
            let response = as_of(asked, accepted.object, version);
            return Ok(with(response, &accepted.warnings));
        }
        let indexed = indexed(&asked.resource, &accepted.object);
        let (key, object) = (asked.key(name), accepted.object.clone());
        let change = match accepted.change {
            Change::Removed => store::Change::Remove {
                key,
                object,
                indexed,
                expected: found.revision,
            },
            _ => store::Change::Put {
                key,
                object,
                indexed,
                expected: Expected::Revision(found.revision),
            },
        };
        match api.store.commit(change).await {
            // Shown as it was before it went, as a real API server does.
            Ok(_) if accepted.change == Change::Removed => {
                let response = as_of(asked, accepted.object, version);
                return Ok(with(response, &accepted.warnings));
            }
            Ok(stored) => {
                let response = read::stored(asked, StatusCode::OK, &stored);
                return Ok(with(response, &accepted.warnings));
            }
            Err(CommitError::Mismatch { .. }) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(ApiError::stale(&asked.of(), name))
}

/// An object that was not stored anew, with the version that it still has.
pub(super) fn as_of(asked: &Asked, mut object: Value, version: Value) -> Response<Body> {
    object["metadata"]["resourceVersion"] = version;
    read::single(asked, StatusCode::OK, asked.presenter.translate(object))
}

/// A stored object as a value, in the shape in which it is stored.
pub(super) fn object(stored: &Stored) -> Value {
    serde_json::from_slice(&stored.bytes).unwrap_or_default()
}

/// Whether an object's deletion was asked for.
pub(super) fn is_ending(stored: &Stored) -> bool {
    object(stored)
        .pointer("/metadata/deletionTimestamp")
        .is_some()
}

fn with(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    answer::warn(&mut response, warnings);
    response
}

/// What a client is told when the store did not write.
pub(super) fn failed(error: &CommitError) -> ApiError {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, source, "a change was not written");
    ApiError::internal(error.to_string())
}
