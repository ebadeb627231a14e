//! One request: who asks, for what, whether that is allowed, and who answers.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;

use super::asked::{Asked, object};
use super::body::Body;
use super::documents::health;
use super::intake::{self, Intake};
use super::present::Presenter;
use super::{Answered, Api, answer, change, read, remove, stream};
use crate::standalone::access::{self, Attributes, Decision, On};
use crate::standalone::error::{ApiError, GroupResource};
use crate::standalone::identity::{Credential, Identity};
use crate::standalone::request::Verb;
use crate::standalone::request::accept::{self, Form};
use crate::standalone::request::path::{self, ResourcePath, Target};
use crate::standalone::request::query::Query;
use crate::standalone::resource::Nature;
use crate::standalone::write::{self, BodyType, Part};
use crate::standalone::{discovery, protobuf, review};

/// Whom a connection comes from.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// Somebody with a certificate of ours.
    Known(Credential),
    /// Somebody with another's, or one that ended.
    Refused,
    /// Somebody without one.
    Anonymous,
}

/// Answers a request, whatever it is.
pub(super) async fn respond(
    api: Arc<Api>,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let answered = answer(&api, &peer, &parts, body).await;
    Ok(answered.unwrap_or_else(|error| {
        let (method, path, code) = (&parts.method, parts.uri.path(), error.code);
        tracing::debug!(?peer, %method, path, code, %error, "refused");
        answer::failure(&error)
    }))
}

/// Who asks.
///
/// # Errors
/// 401: credentials that are not ours. 403: somebody wants to be taken for somebody else.
fn authenticate(
    peer: &Peer,
    headers: &HeaderMap,
    now: jiff::Timestamp,
) -> Result<(Identity, i64), ApiError> {
    let who = match peer {
        Peer::Refused => return Err(ApiError::unauthorized()),
        Peer::Known(credential) if credential.expires <= now.as_second() => {
            return Err(ApiError::unauthorized());
        }
        Peer::Known(credential) => (credential.identity.clone(), credential.expires),
        Peer::Anonymous => {
            let authorization = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
            let is_bearer = authorization.is_some_and(|value| {
                value.len() >= 6 && value[..6].eq_ignore_ascii_case(b"bearer")
            });
            if is_bearer {
                return Err(ApiError::unauthorized());
            }
            (Identity::Anonymous, i64::MAX)
        }
    };
    let mut names = headers.keys().map(|name| name.as_str());
    if names.any(|name| name.starts_with("impersonate-")) {
        let user = who.0.user();
        let message = format!("User \"{user}\" cannot impersonate: nobody can, here");
        return Err(ApiError::forbidden_path(&message));
    }
    Ok(who)
}

async fn answer(api: &Arc<Api>, peer: &Peer, parts: &Parts, body: Incoming) -> Answered {
    let now = jiff::Timestamp::now();
    let (who, expires) = authenticate(peer, &parts.headers, now)?;
    let target = path::parse(parts.uri.path());
    let target = target.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let query = query.ok_or_else(|| ApiError::bad_request("the query has too many parameters"))?;
    let permit = api.gates.request()?;
    let mut response = match target {
        Target::Resource(path) => resource(api, who, expires, path, query, parts, body, now).await,
        target => fixed(api, &who, &target, &query, parts),
    }?;
    // A watch goes on long after it was answered, and is counted elsewhere.
    let body = response.body_mut();
    if !body.is_stream() {
        body.hold(Some(permit));
    }
    Ok(response)
}

/// Paths that are no resources.
fn fixed(api: &Api, who: &Identity, target: &Target, query: &Query, parts: &Parts) -> Answered {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    let verb = match &parts.method {
        _ if is_read => "get".to_owned(),
        method => method.as_str().to_lowercase(),
    };
    let path = parts.uri.path();
    let attributes = Attributes {
        verb: &verb,
        on: On::Path(path),
    };
    if access::decide(who, &attributes) != Decision::Allowed {
        return Err(ApiError::forbidden_path(&access::refusal(who, &attributes)));
    }
    if *target == Target::Unknown {
        return Ok(answer::unknown_path());
    }
    if !is_read {
        return Err(ApiError::method_not_allowed_here());
    }
    let value = match target {
        Target::Health(name) => return Ok(health(name, query.flag("verbose"))),
        Target::Version => discovery::version(),
        Target::Root => json!({"paths": api.documents.paths()}),
        target => {
            let document = api.documents.answer(target, &parts.headers);
            return Ok(document.unwrap_or_else(answer::unknown_path));
        }
    };
    let form = form(&parts.headers)?;
    let is_pretty = query.flag("pretty");
    Ok(answer::value(
        StatusCode::OK,
        form.encoding,
        is_pretty,
        &value,
    ))
}

fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    let all: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    accept::negotiate(&all.join(",")).ok_or_else(ApiError::not_acceptable)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one request, taken apart once"
)]
async fn resource(
    api: &Arc<Api>,
    who: Identity,
    expires: i64,
    path: ResourcePath,
    query: Query,
    parts: &Parts,
    body: Incoming,
    now: jiff::Timestamp,
) -> Answered {
    let verb = Verb::of(&parts.method, &path, &query);
    let attributes = Attributes {
        verb: verb.map_or("", Verb::as_str),
        on: On::Resource(object(&path)),
    };
    let condition = match access::decide(&who, &attributes) {
        Decision::Allowed => None,
        Decision::If(condition) => Some(condition),
        Decision::Denied => {
            let of = GroupResource {
                group: path.of.group.clone(),
                resource: path.resource.clone(),
                kind: String::new(),
            };
            let message = access::refusal(&who, &attributes);
            return Err(ApiError::forbidden(&of, path.name.as_deref(), message));
        }
    };
    if let Some((group, _, kind)) = review_of(&path) {
        if verb != Some(Verb::Create) || path.name.is_some() {
            return Err(ApiError::method_not_allowed_here());
        }
        let intake = intake::take(body, &api.limits, &api.gates).await?;
        let review = review_body(&parts.headers, &intake)?;
        let answer = review::answer(&who, group, kind, &review, now)?;
        let encoding = form(&parts.headers)?.encoding;
        return Ok(answer::value(StatusCode::CREATED, encoding, false, &answer));
    }
    let Some(resource) = api.kinds.find(&path.of, &path.resource) else {
        return Ok(answer::unknown_path());
    };
    let is_placed = match (resource.namespaced, &path.namespace, &path.name) {
        (true, None, Some(_)) | (false, Some(_), _) => false,
        (true, None, None) => verb != Some(Verb::DeleteCollection),
        _ => true,
    };
    if !is_placed {
        return Ok(answer::unknown_path());
    }
    let of = resource.group_resource();
    let name = path.name.as_deref().unwrap_or_default();
    let part = match path.subresource.as_deref() {
        None => Part::Main,
        Some("status") if resource.has_status => Part::Status,
        Some(_) => return Err(ApiError::not_found(&of, name)),
    };
    let Some(verb) = verb else {
        return Err(ApiError::method_not_allowed(&of, ""));
    };
    let is_read_only = resource.is_always_empty && !matches!(verb, Verb::Get | Verb::List);
    let is_odd = match verb {
        Verb::Create | Verb::Delete => part == Part::Status,
        // Each is the end of everything in it: that is asked for by name.
        Verb::DeleteCollection => resource.nature == Nature::Namespace,
        _ => false,
    };
    if is_read_only || is_odd {
        return Err(ApiError::method_not_allowed(&of, verb.as_str()));
    }
    if path.name.is_none() && matches!(verb, Verb::Update | Verb::Patch) {
        return Err(ApiError::bad_request("name must be provided"));
    }
    let form = form(&parts.headers)?;
    let asked = Asked {
        presenter: Presenter::new(resource, form, &query, now)?,
        resource: Arc::clone(resource),
        headers: parts.headers.clone(),
        who,
        condition,
        verb,
        path,
        query,
        part,
        now,
    };
    dispatch(api, &asked, expires, body).await
}

async fn dispatch(api: &Arc<Api>, asked: &Asked, expires: i64, body: Incoming) -> Answered {
    match asked.verb {
        Verb::Get => return read::get(api, asked),
        Verb::List => return read::list(api, asked).await,
        Verb::Watch => return stream::watch(api, asked, expires).await,
        Verb::Patch => change::check_patch_type(asked)?,
        _ => {}
    }
    let intake = intake::take(body, &api.limits, &api.gates).await?;
    match asked.verb {
        Verb::Create => change::create(api, asked, &intake).await,
        Verb::Update => change::update(api, asked, &intake).await,
        Verb::Patch => change::patch(api, asked, &intake).await,
        Verb::Delete => remove::delete(api, asked, &intake).await,
        _ => remove::collection(api, asked, &intake).await,
    }
}

fn review_of(path: &ResourcePath) -> Option<(&'static str, &'static str, &'static str)> {
    let is_version = path.of.version == review::VERSION;
    let is_plain = path.namespace.is_none() && path.subresource.is_none();
    review::KINDS.into_iter().find(|(group, plural, _)| {
        is_version && is_plain && path.of.group == *group && path.resource == *plural
    })
}

fn review_body(headers: &HeaderMap, intake: &Intake) -> Result<serde_json::Value, ApiError> {
    let media = headers.get(hyper::header::CONTENT_TYPE);
    let media = media
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    match media.split(';').next().unwrap_or_default().trim() {
        protobuf::MEDIA_TYPE => protobuf::decode(&intake.bytes)
            .map_err(|error| ApiError::bad_request(error.to_string())),
        "" | "application/json" => Ok(write::parse_body(&intake.bytes, BodyType::Json)?.value),
        "application/yaml" => Ok(write::parse_body(&intake.bytes, BodyType::Yaml)?.value),
        other => Err(ApiError::unsupported_media_type(other)),
    }
}
