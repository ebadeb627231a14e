//! OpenAPI documents, for `kubectl explain` and client-side validation.
