//! One constructor for each way to refuse.

use super::{ApiError, Cause, CauseReason, Details, GroupResource, bounded, qualified};

impl ApiError {
    /// 400: the request itself can't be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        ApiError::new(400, "BadRequest", message)
    }

    /// 401: credentials that are not ours.
    #[must_use]
    pub fn unauthorized() -> Self {
        ApiError::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: `message` is the part after `forbidden: `.
    pub fn forbidden(of: &GroupResource, name: Option<&str>, message: impl Into<String>) -> Self {
        let (what, message) = (of.qualified(), message.into());
        let text = match name {
            Some(name) => format!("{what} {name:?} is forbidden: {message}"),
            None => format!("{what} is forbidden: {message}"),
        };
        let details = Details::of(of, name.unwrap_or_default());
        ApiError::new(403, "Forbidden", text).about(details)
    }

    /// 403 for a path that is no resource: `message` is the part after `forbidden: `.
    #[must_use]
    pub fn forbidden_path(message: &str) -> Self {
        ApiError::new(403, "Forbidden", format!("forbidden: {message}")).about(Details::default())
    }

    /// 403: nothing new is made in a namespace that is being deleted.
    #[must_use]
    pub fn terminating_namespace(of: &GroupResource, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut error = ApiError::forbidden(of, Some(name), why);
        if let Some(details) = &mut error.details {
            details.causes.push(Cause::new(
                CauseReason::NamespaceTerminating,
                "metadata.namespace",
                format!("namespace {namespace} is being terminated"),
            ));
        }
        error
    }

    /// 404 for an object.
    #[must_use]
    pub fn not_found(of: &GroupResource, name: &str) -> Self {
        ApiError::new(
            404,
            "NotFound",
            format!("{} {name:?} not found", of.qualified()),
        )
        .about(Details::of(of, name))
    }

    /// 405 for a resource, e.g. `delete` of a status.
    #[must_use]
    pub fn method_not_allowed(of: &GroupResource, verb: &str) -> Self {
        let message = format!(
            "{verb} is not supported on resources of kind \"{}\"",
            of.qualified()
        );
        ApiError::new(405, "MethodNotAllowed", message).about(Details::of(of, ""))
    }

    /// 405 for a path that is no resource.
    #[must_use]
    pub fn method_not_allowed_here() -> Self {
        let message = "the server does not allow this method on the requested resource";
        ApiError::new(405, "MethodNotAllowed", message).about(Details::default())
    }

    /// 406: none of the media types asked for is spoken.
    #[must_use]
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, \
                       application/yaml, application/vnd.kubernetes.protobuf";
        ApiError::new(406, "NotAcceptable", message)
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(of: &GroupResource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", of.qualified());
        ApiError::new(409, "AlreadyExists", message).about(Details::of(of, name))
    }

    /// 409: the name is taken, by an object that is on its way out.
    #[must_use]
    pub fn being_deleted(of: &GroupResource, name: &str) -> Self {
        let message = format!(
            "object is being deleted: {} {name:?} already exists",
            of.qualified()
        );
        ApiError::new(409, "AlreadyExists", message).about(Details::of(of, name))
    }

    /// 409: what the request takes for granted isn't so.
    pub fn conflict(of: &GroupResource, name: &str, message: impl Into<String>) -> Self {
        let (what, message) = (of.qualified(), message.into());
        let text = format!("Operation cannot be fulfilled on {what} {name:?}: {message}");
        ApiError::new(409, "Conflict", text).about(Details::of(of, name))
    }

    /// 409 for preconditions of a deletion, which name the kind and not the plural.
    #[must_use]
    pub fn precondition(of: &GroupResource, name: &str, message: &str) -> Self {
        let kind = GroupResource {
            resource: of.kind.clone(),
            ..of.clone()
        };
        ApiError::conflict(&kind, name, message)
    }

    /// 409: somebody else wrote first.
    #[must_use]
    pub fn stale(of: &GroupResource, name: &str) -> Self {
        let message = "the object has been modified; please apply your changes to the latest \
                       version and try again";
        ApiError::conflict(of, name, message)
    }

    /// 410: the revision or page asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        ApiError::new(410, "Expired", message)
    }

    /// 410 for a `continue` token, with one to go on with.
    #[must_use]
    pub fn expired_continue(token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You can start a new list without the continue parameter, or use \
                       the continue token in this response to retrieve the remainder of the \
                       results. Continuing with the provided token results in an inconsistent \
                       list - objects that were created, modified, or deleted between the time \
                       the first chunk was returned and now may show up in the list.";
        ApiError {
            continue_with: Some(token),
            ..ApiError::expired(message)
        }
    }

    /// 413: a body of more than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        ApiError::new(413, "RequestEntityTooLarge", message)
    }

    /// 413 for another measure than the body's bytes.
    pub fn too_much(message: impl Into<String>) -> Self {
        ApiError::new(413, "RequestEntityTooLarge", message)
    }

    /// 415 for the body of a POST or PUT. Which types would do is said; what came is not, as a
    /// real server doesn't either.
    #[must_use]
    pub fn unsupported_media_type(got: &str) -> Self {
        let _ = got;
        ApiError::unsupported_media_type_but(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])
    }

    /// 415, with the types that would do.
    #[must_use]
    pub fn unsupported_media_type_but(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        ApiError::new(415, "UnsupportedMediaType", message)
    }

    /// 422: fields that are refused.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let listed: Vec<_> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let listed = match listed.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let name = bounded(name.to_owned(), 512);
        let kind = bounded(kind.to_owned(), 512);
        let message = format!("{} {name:?} is invalid: {listed}", qualified(&kind, group));
        let details = Details {
            name,
            group: group.to_owned(),
            kind,
            causes,
            retry_after_seconds: None,
        };
        ApiError::new(422, "Invalid", message).about(details)
    }

    /// 422 for a query parameter or an option: `kind` is e.g. `CreateOptions`.
    #[must_use]
    pub fn invalid_option(kind: &str, cause: Cause) -> Self {
        ApiError::invalid("meta.k8s.io", kind, "", vec![cause])
    }

    /// 422 for a JSON patch that doesn't fit the object; a real server says no more.
    #[must_use]
    pub fn patch_refused() -> Self {
        let message = "the server rejected our request due to an error in our request";
        ApiError::new(422, "Invalid", message).about(Details::default())
    }

    /// 429: more requests at once than are served.
    #[must_use]
    pub fn too_many_requests() -> Self {
        let message = "Too many requests, please try again later.";
        let details = Details {
            retry_after_seconds: Some(1),
            ..Details::default()
        };
        ApiError::new(429, "TooManyRequests", message).about(details)
    }

    /// 500: our own failure.
    pub fn internal(message: impl Into<String>) -> Self {
        ApiError::new(500, "InternalError", message)
    }

    /// 504: a revision that is yet to come.
    #[must_use]
    pub fn future_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = Cause::new(
            CauseReason::ResourceVersionTooLarge,
            "",
            "Too large resource version",
        );
        let details = Details {
            causes: vec![cause],
            retry_after_seconds: Some(1),
            ..Details::default()
        };
        ApiError::new(504, "Timeout", message).about(details)
    }
}
