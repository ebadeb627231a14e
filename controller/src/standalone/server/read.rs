//! Reading: one object, or a list.

use std::collections::VecDeque;
use std::iter;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer;
use super::asked::Asked;
use super::body::Body;
use super::page::Token;
use super::present::Presenter;
use super::{Answered, Api};
use crate::standalone::error::ApiError;
use crate::standalone::request::accept::{Encoding, Shape};
use crate::standalone::request::options::{self, ListOptions, Match};
use crate::standalone::store::Indexed;
use crate::standalone::store::{self, Page, Revision, Stored};

/// Lists longer than this are not indented, whatever is asked: that takes all of it in memory.
const LONGEST_PRETTY: usize = 500;

/// `get`
pub(super) fn get(api: &Api, asked: &Asked) -> Answered {
    let wanted = options::revision(&asked.query)?;
    refuse_future(api, wanted)?;
    let found = asked.find(api)?;
    if asked.condition.is_some() {
        asked.check(api, &asked.presenter.value(&found))?;
    }
    Ok(stored(asked, StatusCode::OK, &found))
}

/// A stored object as an answer.
pub(super) fn stored(asked: &Asked, code: StatusCode, found: &Stored) -> Response<Body> {
    let is_pretty = asked.query.flag("pretty");
    if asked.presenter.is_spliced() && !is_pretty {
        let pieces = [found.bytes.clone(), Bytes::from_static(b"\n")];
        let length = found.bytes.len() as u64 + 1;
        let body = Body::pieces(pieces.into_iter(), Some(length));
        return answer::of(code, answer::JSON, body);
    }
    single(asked, code, asked.presenter.value(found))
}

/// An object, in the shape of the kind that was asked for, as an answer.
pub(super) fn single(asked: &Asked, code: StatusCode, object: Value) -> Response<Body> {
    let value = asked.presenter.single(object);
    let encoding = asked.presenter.form.encoding;
    answer::value(code, encoding, asked.query.flag("pretty"), &value)
}

/// What is not selected is not shown.
pub(super) fn keep(options: &ListOptions) -> impl Fn(&Indexed) -> bool + Send + Sync + use<> {
    let (labels, fields) = (options.labels.clone(), options.fields.clone());
    move |indexed| labels.matches_indexed(indexed) && fields.matches_indexed(indexed)
}

/// `list`
pub(super) async fn list(api: &Api, asked: &Asked) -> Answered {
    let options = ListOptions::parse(&asked.query, &asked.resource)?;
    let is_always_empty = asked.resource.is_always_empty;
    // Most lists are pages of clients, or short. A long one waits for its turn.
    let most = options.limit.unwrap_or(api.limits.large_list);
    let mut permit = None;
    let mut page = if is_always_empty {
        Page {
            revision: api.store.revision(),
            items: Vec::new(),
            next: None,
            remaining: None,
        }
    } else {
        self::page(api, asked, &options, most.min(api.limits.large_list))?
    };
    if page.next.is_some() && page.items.len() < options.limit.unwrap_or(usize::MAX) {
        drop(page);
        permit = Some(api.gates.large_list().await?);
        page = self::page(api, asked, &options, options.limit.unwrap_or(0))?;
    }
    let mut response = items(asked, &options, page);
    response.body_mut().hold(permit);
    Ok(response)
}

/// What a list says of itself: of which revision it is, and how to go on.
fn metadata(options: &ListOptions, page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some((namespace, name)) = &page.next {
        let token = Token {
            revision: Some(page.revision.0),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        metadata["continue"] = token.to_text().into();
        if let (Some(remaining), false) = (page.remaining, options.is_selective) {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    metadata
}

/// A page of what was asked for; 0 as limit: all of it.
pub(super) fn page(
    api: &Api,
    asked: &Asked,
    options: &ListOptions,
    limit: usize,
) -> Result<Page, ApiError> {
    let scope = asked.scope();
    let (keep, hint) = (keep(options), hint(asked, options));
    let query = store::Query {
        of: &scope,
        hint,
        after: None,
        limit,
        keep: &keep,
    };
    if let Some(token) = &options.continue_from {
        if options.revision.is_some_and(|revision| revision > 0) {
            let message = "specifying resource version is not allowed when using continue";
            return Err(ApiError::bad_request(message));
        }
        let token = Token::parse(token)?;
        let after = (token.namespace, token.name);
        let query = store::Query {
            after: Some(&after),
            ..query
        };
        let at = token.revision.map(Revision);
        // One from the future is of a store that was here before: its list can't be gone on with either.
        let is_known = at.is_none_or(|at| at <= api.store.revision());
        let page = is_known.then(|| api.store.page(&query, at).ok());
        return page.flatten().ok_or_else(|| {
            let (namespace, name) = after;
            let token = Token {
                revision: None,
                namespace,
                name,
            };
            ApiError::expired_continue(token.to_text())
        });
    }
    refuse_future(api, options.revision)?;
    let exact = match (options.revision, options.revision_match) {
        (Some(revision), Some(Match::Exact)) => Some(revision),
        // What a limit with a revision meant before there was a choice.
        (Some(revision), None) if revision > 0 && options.limit.is_some() => Some(revision),
        _ => None,
    };
    if let Some(revision) = exact {
        let page = api.store.page(&query, Some(Revision(revision)));
        return page.map_err(|_| {
            ApiError::expired("The resourceVersion for the provided list is too old.")
        });
    }
    current(api, asked, options, limit)
}

/// A field's value that the selector demands, so that others' objects are not looked at.
pub(super) fn hint<'a>(asked: &'a Asked, options: &'a ListOptions) -> Option<(&'a str, &'a str)> {
    let mut fields = asked.resource.selectable.iter().map(String::as_str);
    fields.find_map(|field| Some((field, options.fields.exact(field)?)))
}

/// What there is now. One object by its name is not searched for.
pub(super) fn current(
    api: &Api,
    asked: &Asked,
    options: &ListOptions,
    limit: usize,
) -> Result<Page, ApiError> {
    let (scope, keep) = (asked.scope(), keep(options));
    let is_one_place = !asked.resource.namespaced || scope.namespace.is_some();
    let name = options.fields.exact("metadata.name");
    let Some(name) = name.filter(|_| is_one_place) else {
        let query = store::Query {
            of: &scope,
            hint: hint(asked, options),
            after: None,
            limit,
            keep: &keep,
        };
        let page = api.store.page(&query, None);
        return page.map_err(|error| ApiError::internal(error.to_string()));
    };
    // The revision first: what is found is then of it or later, and is told again at worst.
    let revision = api.store.revision();
    let found = api.store.get(&asked.key(name));
    let items = found.filter(|found| keep(&found.indexed));
    Ok(Page {
        revision,
        items: items.into_iter().collect(),
        next: None,
        remaining: None,
    })
}

pub(super) fn refuse_future(api: &Api, wanted: Option<u64>) -> Result<(), ApiError> {
    let current = api.store.revision().0;
    match wanted {
        Some(wanted) if wanted > current => Err(ApiError::future_version(wanted, current)),
        _ => Ok(()),
    }
}

/// A page as a list.
pub(super) fn items(asked: &Asked, options: &ListOptions, page: Page) -> Response<Body> {
    let (presenter, metadata) = (&asked.presenter, metadata(options, &page));
    let items = page.items;
    let (head, tail) = presenter.envelope(&metadata, items.is_empty());
    let is_yaml = presenter.form.encoding == Encoding::Yaml
        && !matches!(presenter.form.shape, Shape::Table { .. });
    let media = if is_yaml {
        "application/yaml"
    } else {
        answer::JSON
    };
    let length = presenter.is_spliced().then(|| {
        let commas = items.len().saturating_sub(1);
        let bytes: usize = items.iter().map(|item| item.bytes.len()).sum();
        (head.len() + bytes + commas + tail.len()) as u64
    });
    if asked.query.flag("pretty") && !is_yaml && items.len() <= LONGEST_PRETTY {
        let pieces = pieces(presenter.clone(), head, items, tail);
        let whole: Vec<u8> = pieces.flatten().collect();
        if let Ok(value) = serde_json::from_slice(&whole) {
            return answer::value(StatusCode::OK, Encoding::Json, true, &value);
        }
        return answer::failure(&ApiError::internal("the list is not JSON"));
    }
    let body = Body::pieces(pieces(presenter.clone(), head, items, tail), length);
    answer::of(StatusCode::OK, media, body)
}

fn pieces(
    presenter: Presenter,
    head: String,
    items: Vec<Stored>,
    tail: &'static str,
) -> impl Iterator<Item = Bytes> + Send + 'static {
    // Taken one by one, so that each is let go of when it was sent.
    let mut items = VecDeque::from(items);
    let mut is_first = true;
    let items = iter::from_fn(move || {
        let item = items.pop_front()?;
        let listed = presenter.listed(&item, is_first);
        is_first = false;
        Some(listed)
    });
    iter::once(Bytes::from(head))
        .chain(items)
        .chain(iter::once(Bytes::from_static(tail.as_bytes())))
}
