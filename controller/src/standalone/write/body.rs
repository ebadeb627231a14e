//! Bodies of requests: JSON and YAML, bounded, and with an eye on what is said twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::standalone::error::ApiError;

/// Deeper objects are refused: what walks them does so by calling itself.
pub const DEEPEST: usize = 64;

/// More than this many repeated fields are no longer named.
const MOST_NAMED: usize = 100;

/// A YAML document can name a part of itself again and again: what it unfolds to is bounded, and
/// so is its text, of which the parser makes something many times as large.
const MOST_VALUES: usize = 1_000_000;
const MOST_YAML_BYTES: usize = 512 * 1024;
const MOST_TEXT: usize = 16 * 1024 * 1024;

/// The language of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

/// A body, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Its value. Of fields that are there twice it has the last.
    pub value: Value,
    /// The paths of fields that are there twice, e.g. `spec.sizeBytes`.
    pub duplicates: Vec<String>,
}

/// Reads the body of a POST or PUT.
///
/// # Errors
/// 400 when it isn't what it says, or deeper than [`DEEPEST`]; 413 for YAML that is too large.
pub fn parse_body(bytes: &[u8], media_type: BodyType) -> Result<Body, ApiError> {
    parse_as(bytes, media_type, "the object provided is unrecognized")
}

/// Like [`parse_body`], with an error that says what was expected, as a real server's does.
///
/// # Errors
/// As [`parse_body`].
pub fn parse_body_of(bytes: &[u8], media_type: BodyType, kind: &str) -> Result<Body, ApiError> {
    let what = format!("the object provided is unrecognized (must be of type {kind})");
    parse_as(bytes, media_type, &what)
}

fn parse_as(bytes: &[u8], media_type: BodyType, what: &str) -> Result<Body, ApiError> {
    if media_type == BodyType::Yaml && bytes.len() > MOST_YAML_BYTES && !looks_like_json(bytes) {
        return Err(ApiError::too_large(MOST_YAML_BYTES));
    }
    read(bytes, media_type).map_err(|error| {
        let parsed = match media_type {
            BodyType::Json => "json",
            BodyType::Yaml => "yaml",
        };
        ApiError::bad_request(format!(
            "{what}: couldn't get version/kind; {parsed} parse error: {error} ({})",
            summary(bytes)
        ))
    })
}

/// Most YAML on the wire is JSON, for which there is the faster parser.
fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}

/// The beginning of a body, as errors repeat it.
pub(crate) fn summary(bytes: &[u8]) -> String {
    const LENGTH: usize = 30;
    match bytes {
        [] => "<empty>".to_owned(),
        _ if bytes.len() <= LENGTH => String::from_utf8_lossy(bytes).into_owned(),
        _ => format!("{} ...", String::from_utf8_lossy(&bytes[..LENGTH])),
    }
}

/// Reads JSON or YAML; the error is a text without a place.
pub(crate) fn read(bytes: &[u8], media_type: BodyType) -> Result<Body, String> {
    let mut found = Found::default();
    let read_json = media_type == BodyType::Json;
    if read_json || looks_like_json(bytes) {
        match read_json_text(bytes, &mut found) {
            Ok(value) => {
                return Ok(Body {
                    value,
                    duplicates: found.duplicates,
                });
            }
            Err(error) if read_json => return Err(error),
            // `{a: 1}` is YAML that looks like JSON.
            Err(_) => found = Found::default(),
        }
    }
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    if text.len() > MOST_YAML_BYTES {
        return Err(format!("more than {MOST_YAML_BYTES} bytes of YAML"));
    }
    let deserializer = serde_yaml_ng::Deserializer::from_str(text);
    let seed = Seed {
        depth: 0,
        found: &mut found,
    };
    let value = seed.deserialize(deserializer).map_err(|e| e.to_string())?;
    Ok(Body {
        value,
        duplicates: found.duplicates,
    })
}

fn read_json_text(bytes: &[u8], found: &mut Found) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Seed { depth: 0, found }.deserialize(&mut deserializer);
    read.and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| match error.is_eof() {
            true => "unexpected end of JSON input".to_owned(),
            false => error.to_string(),
        })
}

/// What was met on the way.
#[derive(Default)]
struct Found {
    duplicates: Vec<String>,
    values: usize,
    text: usize,
}

impl Found {
    fn count<E: serde::de::Error>(&mut self, text: usize) -> Result<(), E> {
        self.values += 1;
        self.text += text;
        if self.values > MOST_VALUES || self.text > MOST_TEXT {
            return Err(E::custom("the document is too large"));
        }
        Ok(())
    }

    /// Puts a step before the duplicates found below it.
    fn below(&mut self, before: usize, step: &str) {
        for path in self.duplicates.iter_mut().skip(before) {
            let dot = if path.starts_with('[') { "" } else { "." };
            *path = format!("{step}{dot}{path}");
        }
    }
}

/// Reads one value.
struct Seed<'a> {
    depth: usize,
    found: &'a mut Found,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.found.count(0)?;
        if self.depth >= DEEPEST {
            return Err(E::custom(format!("exceeded max depth of {DEEPEST}")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.found.count(0).map(|()| Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.found.count(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.found.count(0).map(|()| Value::from(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            // A real server reads what doesn't fit as a float, and so refuses it by type.
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.found.count(0)?;
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number has to be finite"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.found.count(value.len()).map(|()| Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        self.deeper()?;
        let mut items = Vec::new();
        loop {
            let before = self.found.duplicates.len();
            let seed = Seed {
                depth: self.depth + 1,
                found: &mut *self.found,
            };
            let Some(item) = access.next_element_seed(seed)? else {
                return Ok(Value::Array(items));
            };
            if self.found.duplicates.len() > before {
                self.found.below(before, &format!("[{}]", items.len()));
            }
            items.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key_seed(Key)? {
            self.found.count(key.len())?;
            let before = self.found.duplicates.len();
            let seed = Seed {
                depth: self.depth + 1,
                found: &mut *self.found,
            };
            let value = access.next_value_seed(seed)?;
            if self.found.duplicates.len() > before {
                self.found.below(before, &key);
            }
            if map.contains_key(&key) && self.found.duplicates.len() < MOST_NAMED {
                self.found.duplicates.push(key.clone());
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a key. In YAML it may be a number or a truth value, which becomes its text.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<String, E> {
        Ok(value)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }
}
