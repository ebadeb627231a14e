//! Answers: status, headers, and bodies in the form that was asked for.

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, RETRY_AFTER, VARY, WARNING,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::body::Body;
use crate::standalone::error::ApiError;
use crate::standalone::request::accept::Encoding;

/// The media type of JSON, as a real API server writes it.
pub(super) const JSON: &str = "application/json";

/// Warnings beyond this many bytes are cut: proxies and clients bound what headers may take.
const WARNINGS: usize = 4 * 1024;

/// An answer with a body.
pub(super) fn of(code: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    let cache = HeaderValue::from_static("no-cache, private");
    headers.insert(CACHE_CONTROL, cache);
    response
}

/// Plain text.
pub(super) fn text(code: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = of(code, "text/plain; charset=utf-8", Body::whole(text));
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// What is answered to a path that is not served.
pub(super) fn unknown_path() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A JSON value.
pub(super) fn value(
    code: StatusCode,
    encoding: Encoding,
    is_pretty: bool,
    value: &Value,
) -> Response<Body> {
    let (media, text) = match encoding {
        Encoding::Yaml => ("application/yaml", serde_yaml_ng::to_string(value).ok()),
        Encoding::Json if is_pretty => (JSON, Some(format!("{value:#}\n"))),
        Encoding::Json => (JSON, Some(format!("{value}\n"))),
    };
    match text {
        Some(text) => of(code, media, Body::whole(text)),
        None => failure(&ApiError::internal("the answer cannot be written as YAML")),
    }
}

/// A refusal or a failure: a `Status`, always as JSON.
pub(super) fn failure(error: &ApiError) -> Response<Body> {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = value(code, Encoding::Json, false, &error.to_status());
    if let Some(seconds) = error.retry_after() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A document that clients keep: it has a tag by which they ask whether it changed.
pub(super) fn document(
    media: &'static str,
    bytes: Bytes,
    tag: &HeaderValue,
    known: Option<&HeaderValue>,
) -> Response<Body> {
    let is_known = known.is_some_and(|known| known == tag);
    let mut response = if is_known {
        let mut response = Response::new(Body::whole(Bytes::new()));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        of(StatusCode::OK, media, Body::whole(bytes))
    };
    let fixed: [(HeaderName, &'static str); 2] = [(CACHE_CONTROL, "public"), (VARY, "Accept")];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(ETAG, tag.clone());
    response
}

/// Adds a `Warning` header for each text.
pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    let mut room = WARNINGS;
    for warning in warnings {
        let quoted: String = warning
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| {
                let escape = matches!(c, '"' | '\\').then_some('\\');
                escape.into_iter().chain([c])
            })
            .collect();
        let Some(left) = room.checked_sub(quoted.len()) else {
            return;
        };
        room = left;
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_bounded() {
        let mut response = text(StatusCode::OK, "");
        let long = "x".repeat(WARNINGS);
        let texts = [
            "unknown field \"spec.a\"".to_owned(),
            "a\r\nb".to_owned(),
            long,
        ];
        warn(&mut response, &texts);
        let found: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(
            found,
            ["299 - \"unknown field \\\"spec.a\\\"\"", "299 - \"ab\""]
        );
    }

    #[test]
    fn a_known_document_is_not_sent_again() {
        let tag = HeaderValue::from_static("\"t\"");
        let bytes = || Bytes::from_static(b"{}");
        let sent = document(JSON, bytes(), &tag, None);
        assert_eq!(
            (sent.status(), sent.headers().get(ETAG)),
            (StatusCode::OK, Some(&tag))
        );
        let known = document(JSON, bytes(), &tag, Some(&tag));
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    }
}
