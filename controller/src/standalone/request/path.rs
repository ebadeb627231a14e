//! A path, taken apart. Whatever could be read in two ways is refused.

use thiserror::Error;

/// What a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/`
    Root,
    /// `/healthz`, `/livez` or `/readyz`.
    Health(&'static str),
    /// `/version`
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/<group>`
    Group(String),
    /// `/api/v1` or `/apis/<group>/<version>`
    GroupVersion(GroupVersion),
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`
    OpenApiV3Index,
    /// `/openapi/v3/apis/<group>/<version>` or `/openapi/v3/api/v1`
    OpenApiV3(GroupVersion),
    /// A resource, or one object of it.
    Resource(ResourcePath),
    /// Nothing that is ever served.
    Unknown,
}

/// A group (empty: the core) and its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupVersion {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
}

/// A path below a group's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// Group and version.
    pub of: GroupVersion,
    /// The namespace, if the path names one.
    pub namespace: Option<String>,
    /// The plural.
    pub resource: String,
    /// The object's name, if it is about one.
    pub name: Option<String>,
    /// `status`, or something that is not served.
    pub subresource: Option<String>,
}

/// A path that is refused before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// `//`, or a `/` at the end.
    #[error("the path has an empty segment")]
    Empty,
    /// `.` or `..`, as they are or encoded.
    #[error("the path has a segment `.` or `..`")]
    Dots,
    /// An encoded `/`, a backslash, a control character.
    #[error("the path has a character that may not be in a segment, encoded or not")]
    Character,
    /// `%` without two hex digits behind it, or bytes that are not UTF-8.
    #[error("the path is not properly encoded")]
    Encoding,
    /// More segments than any path here has.
    #[error("the path has too many segments")]
    Deep,
}

/// Takes a path apart.
///
/// # Errors
/// It has segments that could be read in two ways.
pub fn parse(path: &str) -> Result<Target, PathError> {
    let Some(path) = path.strip_prefix('/') else {
        return Err(PathError::Empty);
    };
    if path.is_empty() {
        return Ok(Target::Root);
    }
    let segments = path.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
    if segments.len() > 9 {
        return Err(PathError::Deep);
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Ok(target(&segments))
}

fn target(segments: &[&str]) -> Target {
    match segments {
        ["healthz"] => Target::Health("healthz"),
        ["livez"] => Target::Health("livez"),
        ["readyz"] => Target::Health("readyz"),
        ["version"] => Target::Version,
        ["api"] => Target::CoreVersions,
        ["apis"] => Target::Groups,
        ["api", version] => Target::GroupVersion(group_version("", version)),
        ["apis", group] => Target::Group((*group).to_owned()),
        ["apis", group, version] => Target::GroupVersion(group_version(group, version)),
        ["openapi", "v2"] => Target::OpenApiV2,
        ["openapi", "v3"] => Target::OpenApiV3Index,
        ["openapi", "v3", "api", version] => Target::OpenApiV3(group_version("", version)),
        ["openapi", "v3", "apis", group, version] => {
            Target::OpenApiV3(group_version(group, version))
        }
        ["api", version, rest @ ..] => resource(group_version("", version), rest),
        ["apis", group, version, rest @ ..] => resource(group_version(group, version), rest),
        _ => Target::Unknown,
    }
}

fn group_version(group: &str, version: &str) -> GroupVersion {
    GroupVersion {
        group: group.to_owned(),
        version: version.to_owned(),
    }
}

fn resource(of: GroupVersion, segments: &[&str]) -> Target {
    let owned = |text: &&str| (*text).to_owned();
    // `namespaces/x/status` is about the namespace, `namespaces/x/leases` about what is in it.
    let (namespace, rest) = match segments {
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, segments),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        all => (None, all),
    };
    match rest {
        [resource, rest @ ..] if rest.len() <= 2 => Target::Resource(ResourcePath {
            of,
            namespace: namespace.map(str::to_owned),
            resource: owned(resource),
            name: rest.first().map(owned),
            subresource: rest.get(1).map(owned),
        }),
        _ => Target::Unknown,
    }
}

fn decode(segment: &str) -> Result<String, PathError> {
    let bytes = percent_decode(segment).ok_or(PathError::Encoding)?;
    let text = String::from_utf8(bytes).map_err(|_| PathError::Encoding)?;
    match text.as_str() {
        "" => Err(PathError::Empty),
        "." | ".." => Err(PathError::Dots),
        text if text.contains(['/', '\\', '%']) || text.contains(char::is_control) => {
            Err(PathError::Character)
        }
        _ => Ok(text),
    }
}

/// Bytes of a text in which some are written as `%` and two hex digits.
pub(super) fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(digits[0])? * 16 + digit(digits[1])?;
        bytes.push(u8::try_from(value).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<[String; 5]> {
        match parse(text) {
            Ok(Target::Resource(path)) => Some([
                format!("{}/{}", path.of.group, path.of.version),
                path.namespace.unwrap_or_default(),
                path.resource,
                path.name.unwrap_or_default(),
                path.subresource.unwrap_or_default(),
            ]),
            _ => None,
        }
    }

    #[test]
    fn resources_are_found_in_paths() {
        let rows = [
            ("/api/v1/namespaces", ["/v1", "", "namespaces", "", ""]),
            ("/api/v1/namespaces/a", ["/v1", "", "namespaces", "a", ""]),
            (
                "/api/v1/namespaces/a/status",
                ["/v1", "", "namespaces", "a", "status"],
            ),
            (
                "/api/v1/namespaces/a/events",
                ["/v1", "a", "events", "", ""],
            ),
            (
                "/apis/g.io/v1/namespaces/a/leases/b",
                ["g.io/v1", "a", "leases", "b", ""],
            ),
            (
                "/apis/weir.dev/v1alpha1/volumes/b/status",
                ["weir.dev/v1alpha1", "", "volumes", "b", "status"],
            ),
            (
                "/apis/weir.dev/v1alpha1/volumes/a%2Db",
                ["weir.dev/v1alpha1", "", "volumes", "a-b", ""],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(path(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_paths_are_known() {
        let rows = [
            ("/", Target::Root),
            ("/readyz", Target::Health("readyz")),
            ("/version", Target::Version),
            ("/api", Target::CoreVersions),
            ("/apis", Target::Groups),
            ("/apis/weir.dev", Target::Group("weir.dev".to_owned())),
            ("/api/v1", Target::GroupVersion(group_version("", "v1"))),
            ("/openapi/v2", Target::OpenApiV2),
            ("/openapi/v3", Target::OpenApiV3Index),
            (
                "/openapi/v3/apis/weir.dev/v1alpha1",
                Target::OpenApiV3(group_version("weir.dev", "v1alpha1")),
            ),
            ("/metrics", Target::Unknown),
            ("/api/v1/a/b/c/d", Target::Unknown),
            ("/readyz/x", Target::Unknown),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        let rows = [
            ("", PathError::Empty),
            ("//", PathError::Empty),
            ("/api/", PathError::Empty),
            ("/api//v1", PathError::Empty),
            ("/api/v1/volumes/", PathError::Empty),
            ("/api/v1/../v1", PathError::Dots),
            ("/api/v1/%2e%2E/x", PathError::Dots),
            ("/api/v1/./x", PathError::Dots),
            ("/api/v1/volumes%2fx", PathError::Character),
            ("/api/v1/volumes/a%252fb", PathError::Character),
            ("/api/v1/volumes/a%00", PathError::Character),
            ("/api/v1/volumes/a%0d%0ab", PathError::Character),
            ("/api/v1/volumes/a\\b", PathError::Character),
            ("/api/v1/volumes/a%5cb", PathError::Character),
            ("/api/v1/volumes/a%", PathError::Encoding),
            ("/api/v1/volumes/a%2", PathError::Encoding),
            ("/api/v1/volumes/a%zz", PathError::Encoding),
            ("/api/v1/volumes/%ff", PathError::Encoding),
            ("/a/b/c/d/e/f/g/h/i/j", PathError::Deep),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }
}
