//! A request: path, query, media types.

pub mod accept;
pub mod options;
pub mod path;
pub mod query;

use hyper::Method;

use path::ResourcePath;
use query::Query;

/// What is to be done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One object is wanted.
    Get,
    /// All of them, or those that are selected.
    List,
    /// What changes.
    Watch,
    /// A new object.
    Create,
    /// An object's replacement.
    Update,
    /// A change of an object.
    Patch,
    /// An object's end.
    Delete,
    /// The end of all, or of those that are selected.
    DeleteCollection,
}

impl Verb {
    /// The verb of a method on a path; `None`: there is none.
    #[must_use]
    pub fn of(method: &Method, path: &ResourcePath, query: &Query) -> Option<Self> {
        let is_named = path.name.is_some();
        Some(match method.as_str() {
            "GET" | "HEAD" if is_named => Self::Get,
            "GET" | "HEAD" if query.flag("watch") => Self::Watch,
            "GET" | "HEAD" => Self::List,
            "POST" => Self::Create,
            "PUT" => Self::Update,
            "PATCH" => Self::Patch,
            "DELETE" if is_named => Self::Delete,
            "DELETE" => Self::DeleteCollection,
            _ => return None,
        })
    }

    /// The verb's name, as access rules and messages have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_follow_from_method_and_path() {
        let verb = |method: &str, name: Option<&str>, query: &str| {
            let path = ResourcePath {
                name: name.map(str::to_owned),
                ..ResourcePath::default()
            };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            Verb::of(&method, &path, &Query::parse(query).unwrap()).map(Verb::as_str)
        };
        let rows = [
            ("GET", None, "", Some("list")),
            ("GET", None, "watch=1", Some("watch")),
            ("GET", Some("a"), "watch=1", Some("get")),
            ("HEAD", Some("a"), "", Some("get")),
            ("POST", None, "", Some("create")),
            ("PUT", Some("a"), "", Some("update")),
            ("PATCH", Some("a"), "", Some("patch")),
            ("DELETE", Some("a"), "", Some("delete")),
            ("DELETE", None, "", Some("deletecollection")),
            ("OPTIONS", None, "", None),
            ("CONNECT", None, "", None),
        ];
        for (method, name, query, expected) in rows {
            assert_eq!(verb(method, name, query), expected, "{method} {name:?}");
        }
    }
}
