//! Schemas of names, identities and units, as every object's definition has them: type, bounds and a
//! pattern each, so that a wrong value is refused with the field's name before anybody acts on it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::crd::rules::rules;
use crate::names::{Generation, NodeName, ObjectName, VgName, VolumeId};
use crate::units::{Bytes, Latency, Ratio};

macro_rules! schema {
    ($($type:ident: $schema:expr;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

schema! {
    Bytes: json_schema!({"type": "integer", "format": "int64", "minimum": 0});
    Latency: json_schema!({"type": "string", "maxLength": 11, "pattern": "^[0-9]{1,9}(us|ms|s)$"});
    Ratio: json_schema!({
        "type": "string", "maxLength": 6, "pattern": "^[1-9][0-9]{0,2}([.][0-9]{1,2})?$"
    });
    // A generation is counted from 1 on: 0 would look like a field that was forgotten.
    Generation: json_schema!({"type": "integer", "format": "int64", "minimum": 1});
    VolumeId: id(&[NOT_NIL]);
    ObjectName: json_schema!({
        "type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    });
    NodeName: json_schema!({
        "type": "string", "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
    });
    VgName: json_schema!({
        "type": "string", "maxLength": 127, "pattern": "^[A-Za-z0-9+_][A-Za-z0-9+_.-]*$"
    });
}

const NOT_NIL: (&str, &str, &str) = (
    "self != '00000000-0000-0000-0000-000000000000'",
    "the nil UUID identifies nothing",
    "",
);

/// One spelling for each id, so that it can be selected and compared as text.
fn id(of: &[(&str, &str, &str)]) -> Schema {
    json_schema!({
        "type": "string", "format": "uuid", "maxLength": 36,
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "x-kubernetes-validations": rules(of),
    })
}

/// An object's own identity.
pub(crate) fn own_id(_: &mut SchemaGenerator) -> Schema {
    id(&[("self == oldSelf", "id is immutable", ""), NOT_NIL])
}

/// A latency that can be aimed at.
pub(crate) fn some_latency(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 11, "pattern": "^[1-9][0-9]{0,8}(us|ms|s)$"})
}

/// A size of at least one byte.
pub(crate) fn some_bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 1})
}

/// The paths of disks.
pub(crate) fn devices(generator: &mut SchemaGenerator) -> Schema {
    let item = device(generator);
    json_schema!({"type": "array", "maxItems": 64, "x-kubernetes-list-type": "set", "items": item})
}

/// The path of a disk: below `/dev`, without spaces, and not out of it again.
pub(crate) fn device(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 255, "pattern": "^/dev/[!-.0-~][!-~]*$",
        "x-kubernetes-validations": rules(&[(
            "!self.matches('/[.][.](/|$)')", "must not leave /dev by `..`", "",
        )]),
    })
}

/// An IP address that is not every address of a node in whatever spelling, which would export on every
/// network the node has or will have. That it is an address at all, a pattern can't say: the agent does.
pub(crate) fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 2, "maxLength": 45, "pattern": "^[0-9a-fA-F:.]+$",
        "x-kubernetes-validations": rules(&[(
            "!self.matches('^([0:]+:[fF]{4}:)?[0:.]+$')",
            "a wildcard would export on every network of the node", "",
        )]),
    })
}

/// A list whose entries are told apart by their values: what several writers each add to.
pub(crate) fn words(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 64},
    })
}

/// Labels that an object must have.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

/// Grants as somebody tells of them: no rule says how they may change.
pub(crate) fn grants(generator: &mut SchemaGenerator) -> Schema {
    let mut node = generator.subschema_for::<NodeName>();
    node.insert("description".to_owned(), "Who.".into());
    let mut generation = generator.subschema_for::<Generation>();
    generation.insert("description".to_owned(), "Which grant.".into());
    json_schema!({
        "type": "array", "maxItems": 16,
        "items": {
            "type": "object", "required": ["nodeName", "generation"],
            "properties": {
                "nodeName": node, "generation": generation,
                "readOnly": {
                    "type": "boolean", "default": false, "description": "Whether it may only read.",
                },
            },
        },
    })
}

/// Conditions: one of each type.
pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<crate::condition::Condition>();
    json_schema!({
        "type": "array", "maxItems": 32, "items": item,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
    })
}
