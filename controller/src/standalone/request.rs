//! A request: path, query, media types.
