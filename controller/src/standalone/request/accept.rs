//! In which form an answer is wanted.

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// How it is written.
    pub encoding: Encoding,
    /// What of an object is in it.
    pub shape: Shape,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What of an object is in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All of it.
    Object,
    /// Rows of a table, of `meta.k8s.io/<version>`.
    Table {
        /// `v1beta1` instead of `v1`.
        beta: bool,
    },
    /// Its metadata.
    Metadata,
}

impl Form {
    /// All of an object, as JSON.
    pub const JSON: Self = Self {
        encoding: Encoding::Json,
        shape: Shape::Object,
    };
}

/// One entry of an `Accept` header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media<'a> {
    /// As `application/json`.
    pub kind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Media<'a> {
    /// Takes one media type apart; what is quoted there is never needed here.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|part| {
            let (key, value) = part.split_once('=')?;
            Some((key.trim(), value.trim()))
        });
        Self {
            kind,
            parameters: parameters.collect(),
        }
    }

    /// The value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let found = self.parameters.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    }
}

/// The entries of an `Accept` header, in order; one for anything if there are none.
pub fn entries(accept: &str) -> impl Iterator<Item = Media<'_>> {
    let accept = if accept.trim().is_empty() {
        "*/*"
    } else {
        accept
    };
    accept.split(',').map(|entry| Media::parse(entry.trim()))
}

/// The first form of an `Accept` header that can be served; `None`: none can.
///
/// Protobuf is never served: whoever asks for it asks for JSON too.
#[must_use]
pub fn negotiate(accept: &str) -> Option<Form> {
    entries(accept).find_map(|media| form(&media))
}

fn form(media: &Media<'_>) -> Option<Form> {
    let encoding = match media.kind {
        "application/json" | "*/*" | "application/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let is_meta = media.parameter("g") == Some("meta.k8s.io");
    let shape = match (media.parameter("as"), media.parameter("v")) {
        (None, _) => Shape::Object,
        (Some("Table"), Some("v1")) if is_meta => Shape::Table { beta: false },
        (Some("Table"), Some("v1beta1")) if is_meta => Shape::Table { beta: true },
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) if is_meta => {
            Shape::Metadata
        }
        _ => return None,
    };
    Some(Form { encoding, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_served_is() {
        let json = |shape| {
            Some(Form {
                encoding: Encoding::Json,
                shape,
            })
        };
        let table = |beta| json(Shape::Table { beta });
        let rows = [
            ("", json(Shape::Object)),
            ("*/*", json(Shape::Object)),
            ("application/json, */*", json(Shape::Object)),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                json(Shape::Object),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
            ("text/html,*/*;q=0.8", json(Shape::Object)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", table(false)),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                 application/json",
                table(false),
            ),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
                table(true),
            ),
            ("application/json;as=Table;v=v2;g=meta.k8s.io", None),
            (
                "application/json;as=Table;v=v2;g=meta.k8s.io,application/json",
                json(Shape::Object),
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                json(Shape::Metadata),
            ),
            (
                "application/json;as=PartialObjectMetadata;g=else;v=v1",
                None,
            ),
            (
                "application/yaml",
                Some(Form {
                    encoding: Encoding::Yaml,
                    shape: Shape::Object,
                }),
            ),
        ];
        for (accept, expected) in rows {
            assert_eq!(negotiate(accept), expected, "{accept}");
        }
    }
}
