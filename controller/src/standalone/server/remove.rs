//! Deleting: one object, or all that are selected.

use std::sync::Arc;

use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::answer;
use super::asked::Asked;
use super::body::Body;
use super::change::{self, failed, object};
use super::intake::Intake;
use super::{Answered, Api, namespaces, read};
use crate::standalone::error::ApiError;
use crate::standalone::request::options::{self, ListOptions};
use crate::standalone::resource::{Nature, Resource};
use crate::standalone::selector::indexed;
use crate::standalone::store::{self, CommitError, Expected, Stored};
use crate::standalone::write::{self, BodyType, DeleteOptions, Deletion, FieldValidation, Writer};

/// How often a deletion is tried again when others write the object in between.
const ATTEMPTS: usize = 64;

/// How many objects of a collection are deleted at a time: they share the disk's flushes.
const TOGETHER: usize = 64;

/// What came of a deletion.
pub(super) enum Gone {
    /// It is gone; this was its last state.
    Now(Value),
    /// It goes when its last finalizer does.
    Later(Stored),
    /// Nothing was done, for it was a dry run; this would have come of it.
    Dry(Option<Value>),
}

/// Options of a deletion: its body, or what of them the query says.
fn parse(asked: &Asked, intake: &Intake) -> Result<DeleteOptions, ApiError> {
    let body = if intake.bytes.is_empty() {
        Value::Null
    } else {
        let media = asked.headers.get(header::CONTENT_TYPE);
        let is_yaml = media.is_some_and(|media| media == "application/yaml");
        let body_type = if is_yaml {
            BodyType::Yaml
        } else {
            BodyType::Json
        };
        write::parse_body(&intake.bytes, body_type)?.value
    };
    let mut options = DeleteOptions::from_value(&body)?;
    if options.propagation_policy.is_none() {
        options.set_policy(asked.query.get("propagationPolicy").map(str::to_owned))?;
    }
    let is_dry_run = options::dry_run(asked.query.all("dryRun"))
        .map_err(|cause| ApiError::invalid_option("DeleteOptions", cause))?;
    options.dry_run |= is_dry_run;
    Ok(options)
}

/// `delete`
pub(super) async fn delete(api: &Arc<Api>, asked: &Asked, intake: &Intake) -> Answered {
    let options = parse(asked, intake)?;
    let found = asked.find(api)?;
    asked.check(api, &object(&found))?;
    let gone = one(api, &asked.resource, found, &options, asked.now).await?;
    Ok(match gone {
        Gone::Now(object) | Gone::Dry(Some(object)) => success(asked, &object),
        Gone::Later(stored) => read::stored(asked, StatusCode::OK, &stored),
        Gone::Dry(None) => read::stored(asked, StatusCode::OK, &asked.find(api)?),
    })
}

fn success(asked: &Asked, object: &Value) -> Response<Body> {
    let mut details = json!({"name": asked.name(), "kind": asked.resource.plural});
    if !asked.resource.group.is_empty() {
        details["group"] = asked.resource.group.as_str().into();
    }
    if let Some(uid) = object.pointer("/metadata/uid") {
        details["uid"] = uid.clone();
    }
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    });
    let encoding = asked.presenter.form.encoding;
    answer::value(
        StatusCode::OK,
        encoding,
        asked.query.flag("pretty"),
        &status,
    )
}

/// Deletes one object, whatever it is now, until nobody wrote in between.
pub(super) async fn one(
    api: &Arc<Api>,
    resource: &Resource,
    mut found: Stored,
    options: &DeleteOptions,
    now: jiff::Timestamp,
) -> Result<Gone, ApiError> {
    let of = resource.group_resource();
    let name = found.key.name.clone();
    let is_namespace = resource.nature == Nature::Namespace;
    if is_namespace {
        namespaces::refuse_lasting(&of, &name)?;
    }
    let writer = Writer {
        resource,
        now,
        validation: FieldValidation::Ignore,
        field_manager: "unknown",
        duplicates: &[],
    };
    for _ in 0..ATTEMPTS {
        let old = object(&found);
        let deletion = writer.delete(&old, options)?;
        let key = (*found.key).clone();
        let change = match deletion {
            Deletion::AlreadyMarked if options.dry_run => return Ok(Gone::Dry(None)),
            Deletion::Removed if options.dry_run => return Ok(Gone::Dry(Some(old))),
            Deletion::Marked(_) if options.dry_run => return Ok(Gone::Dry(None)),
            Deletion::AlreadyMarked => return Ok(Gone::Later(found)),
            Deletion::Removed => store::Change::Remove {
                key,
                indexed: indexed(resource, &old),
                object: old.clone(),
                expected: found.revision,
            },
            Deletion::Marked(object) => store::Change::Put {
                key,
                indexed: indexed(resource, &object),
                object,
                expected: Expected::Revision(found.revision),
            },
        };
        let is_removal = matches!(change, store::Change::Remove { .. });
        match api.store.commit(change).await {
            Ok(_) if is_removal => return Ok(Gone::Now(old)),
            Ok(stored) => {
                if is_namespace {
                    namespaces::finish(api, &name);
                }
                return Ok(Gone::Later(stored));
            }
            Err(CommitError::Mismatch {
                current: Some(current),
            }) => found = current,
            Err(CommitError::Mismatch { current: None }) => {
                return Err(ApiError::not_found(&of, &name));
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(ApiError::stale(&of, &name))
}

/// `deletecollection`: what a list with the same options shows is deleted, and answered with.
pub(super) async fn collection(api: &Arc<Api>, asked: &Asked, intake: &Intake) -> Answered {
    let deletion = parse(asked, intake)?;
    let options = ListOptions::parse(&asked.query, &asked.resource)?;
    let permit = api.gates.large_list().await?;
    let page = read::page(api, asked, &options, options.limit.unwrap_or(0))?;
    for item in &page.items {
        asked.check(api, &change::object(item))?;
    }
    if !deletion.dry_run {
        all(
            api,
            &asked.resource,
            page.items.clone(),
            &deletion,
            asked.now,
        )
        .await?;
    }
    let mut response = read::items(asked, &options, page);
    response.body_mut().hold(Some(permit));
    Ok(response)
}

/// Deletes objects, a few at a time. Those that are gone already are none the worse.
pub(super) async fn all(
    api: &Arc<Api>,
    resource: &Arc<Resource>,
    items: Vec<Stored>,
    options: &DeleteOptions,
    now: jiff::Timestamp,
) -> Result<(), ApiError> {
    let mut running = JoinSet::new();
    let mut result = Ok(());
    for item in items {
        if running.len() >= TOGETHER {
            judge(running.join_next().await, &mut result);
        }
        let (api, resource, options) = (Arc::clone(api), Arc::clone(resource), options.clone());
        running.spawn(async move {
            let gone = one(&api, &resource, item, &options, now).await;
            gone.map(|_| ())
        });
    }
    while !running.is_empty() {
        judge(running.join_next().await, &mut result);
    }
    result
}

type Joined = Option<Result<Result<(), ApiError>, tokio::task::JoinError>>;

fn judge(joined: Joined, result: &mut Result<(), ApiError>) {
    match joined {
        Some(Ok(Err(error))) if error.code != 404 => *result = Err(error),
        Some(Err(error)) => *result = Err(ApiError::internal(error.to_string())),
        _ => {}
    }
}
