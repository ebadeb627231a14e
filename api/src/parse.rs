//! YAML or JSON text to an object that an agent serves. An error names the field, and nothing is accepted
//! by half: a field that nobody knows, and one that asks for what an agent can't do yet, are refused alike.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::crd;
use crate::names::{API_VERSION, NodeName, ObjectName};
use crate::object::Object;
use crate::pool::StoragePool;
use crate::served::{self, NotServed, Placing};
use crate::units::Bytes;
use crate::volume::{Access, Volume};

/// More hosts than any use needs: each costs a subsystem and a device mapping.
const MOST_HOSTS: usize = 16;

/// An object somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A pool.
    Pool(StoragePool),
    /// A volume.
    Volume(Volume),
}

/// Why a text is no request.
#[derive(Debug, Error)]
pub enum ParseError {
    /// The text is not YAML, or a field is missing, unknown or of the wrong type.
    #[error("{field}: {reason}")]
    Shape {
        /// Path of the field, dotted; `.` for the document itself.
        field: String,
        /// What the deserializer said, with the line.
        reason: String,
    },
    /// A field has the right type and a value that can't be.
    #[error("{field}: {rule}")]
    Value {
        /// Path of the field, dotted.
        field: &'static str,
        /// The rule it breaks.
        rule: String,
    },
}

/// The largest volume: what the kernel's loff_t, hence a block device, can hold.
const LARGEST: Bytes = Bytes(i64::MAX as u64);

/// Reads one object.
///
/// # Errors
/// Names the first field that is not as the schema wants it.
pub fn parse(text: &str) -> Result<Request, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header {
        api_version: String,
        kind: String,
    }
    let header: Header = typed(text)?;
    if header.api_version != API_VERSION {
        let rule = format!(
            "`{}` is not served, only `{API_VERSION}`",
            header.api_version
        );
        return Err(ParseError::Value {
            field: "apiVersion",
            rule,
        });
    }
    match header.kind.as_str() {
        "StoragePool" => asked(text, |spec| served::pool(spec, Placing::Nobody))
            .and_then(check_pool)
            .map(Request::Pool),
        "Volume" => asked(text, |spec| served::volume(spec, Placing::Nobody))
            .and_then(check_volume)
            .map(Request::Volume),
        other => {
            let rule = format!("`{other}` is neither `StoragePool` nor `Volume`");
            Err(ParseError::Value {
                field: "kind",
                rule,
            })
        }
    }
}

/// Kind and name of an object whose text may be wrong elsewhere, so that an error can be told to
/// whom it concerns. `None` where not even these can be read.
#[must_use]
pub fn peek(text: &str) -> Option<(String, ObjectName)> {
    #[derive(Deserialize)]
    struct Peek {
        kind: String,
        metadata: Name,
    }
    #[derive(Deserialize)]
    struct Name {
        name: ObjectName,
    }
    let peek: Peek = serde_yaml_ng::from_str(text).ok()?;
    Some((peek.kind, peek.metadata.name))
}

/// An object as YAML that [`parse`] reads, without its status.
///
/// # Errors
/// It can't be written as YAML.
pub fn print<S: Serialize + Clone, T>(object: &Object<S, T>) -> Result<String, String> {
    let object: Object<S, ()> = Object {
        api_version: object.api_version.clone(),
        kind: object.kind.clone(),
        metadata: object.metadata.clone(),
        spec: object.spec.clone(),
        status: None,
    };
    serde_yaml_ng::to_string(&object).map_err(|error| error.to_string())
}

/// An object that is asked for, as an agent serves it.
fn asked<A: DeserializeOwned, S, T: DeserializeOwned>(
    text: &str,
    serve: fn(A) -> Result<S, NotServed>,
) -> Result<Object<S, T>, ParseError> {
    let object: Object<A, T> = strictly(text)?;
    object.try_map(serve).map_err(refused)
}

/// A pool as an API has it. Fields that nobody knows are ignored, as clients of an API that was upgraded
/// before them must; what an agent can't do is refused by name.
///
/// # Errors
/// Names the first field that is not as the schema wants it, or asks for what an agent can't do.
pub fn pool_of_api(object: Value) -> Result<StoragePool, ParseError> {
    let object: Object<crd::StoragePoolSpec, _> = shaped(object)?;
    let served = object.try_map(|spec| served::pool(spec, Placing::Controller));
    served.map_err(refused).and_then(check_pool)
}

/// A volume as an API has it; see [`pool_of_api`].
///
/// # Errors
/// Names the first field that is not as the schema wants it, or asks for what an agent can't do.
pub fn volume_of_api(object: Value) -> Result<Volume, ParseError> {
    let object: Object<crd::VolumeSpec, _> = shaped(object)?;
    let served = object.try_map(|spec| served::volume(spec, Placing::Controller));
    served.map_err(refused).and_then(check_volume)
}

fn shaped<T: DeserializeOwned>(object: Value) -> Result<T, ParseError> {
    serde_path_to_error::deserialize(object).map_err(|error| ParseError::Shape {
        field: error.path().to_string(),
        reason: error.into_inner().to_string(),
    })
}

fn refused(refused: NotServed) -> ParseError {
    ParseError::Value {
        field: refused.field,
        rule: refused.rule.to_owned(),
    }
}

fn typed<T: DeserializeOwned>(text: &str) -> Result<T, ParseError> {
    let yaml = serde_yaml_ng::Deserializer::from_str(text);
    serde_path_to_error::deserialize(yaml).map_err(|error| ParseError::Shape {
        field: error.path().to_string(),
        reason: error.into_inner().to_string(),
    })
}

/// Reads an object in whose spec no field is unknown. Types of the API ignore such fields, as clients of an
/// API that is upgraded before them must; a person who wrote one is told. Metadata and status are others'
/// work: what is new there is ignored here as well.
fn strictly<T: DeserializeOwned>(text: &str) -> Result<T, ParseError> {
    let mut unknown = None;
    let mut track = serde_path_to_error::Track::new();
    let yaml = serde_yaml_ng::Deserializer::from_str(text);
    let yaml = serde_path_to_error::Deserializer::new(yaml, &mut track);
    let read = serde_ignored::deserialize(yaml, |path| {
        let path = dotted(&path);
        if unknown.is_none() && path.starts_with("spec.") {
            unknown = Some(path);
        }
    });
    match (read, unknown) {
        (Err(error), _) => Err(ParseError::Shape {
            field: track.path().to_string(),
            reason: error.to_string(),
        }),
        (Ok(_), Some(field)) => Err(ParseError::Shape {
            field,
            reason: "unknown field".to_owned(),
        }),
        (Ok(object), None) => Ok(object),
    }
}

/// A path as `serde_path_to_error` writes it: `spec.portals[0].address`.
fn dotted(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", dotted(parent)),
        Path::Map { parent, key } => match dotted(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => dotted(parent),
    }
}

fn check_pool(pool: StoragePool) -> Result<StoragePool, ParseError> {
    let kernel = &pool.spec.engine.kernel;
    for device in &kernel.devices {
        let clean = device.starts_with("/dev/") && !device.split('/').any(|part| part == "..");
        if !clean {
            let rule = format!("`{device}` is not an absolute path under /dev");
            return Err(ParseError::Value {
                field: "spec.engine.kernel.devices",
                rule,
            });
        }
    }
    if kernel
        .thin_pool
        .as_ref()
        .is_some_and(|thin| !in_range(thin.capacity_bytes))
    {
        let rule = format!("must be between 1 and {}", LARGEST.0);
        return Err(ParseError::Value {
            field: "spec.engine.kernel.thinPool.capacityBytes",
            rule,
        });
    }
    // `::ffff:0.0.0.0` is a wildcard too.
    let wildcard = |address: IpAddr| address.to_canonical().is_unspecified();
    if let Some(portal) = pool
        .spec
        .portals
        .iter()
        .find(|portal| wildcard(portal.address))
    {
        let rule = format!(
            "`{}` would export on every network of the node",
            portal.address
        );
        return Err(ParseError::Value {
            field: "spec.portals.address",
            rule,
        });
    }
    if pool.spec.portals.iter().any(|portal| portal.port == 0) {
        let rule = "must be between 1 and 65535".to_owned();
        return Err(ParseError::Value {
            field: "spec.portals.port",
            rule,
        });
    }
    Ok(pool)
}

fn check_volume(volume: Volume) -> Result<Volume, ParseError> {
    if !in_range(volume.spec.capacity_bytes) {
        let rule = format!("must be between 1 and {}", LARGEST.0);
        return Err(ParseError::Value {
            field: "spec.capacityBytes",
            rule,
        });
    }
    if volume.spec.id.0.is_nil() {
        let rule = "the nil UUID identifies nothing".to_owned();
        return Err(ParseError::Value {
            field: "spec.id",
            rule,
        });
    }
    let attachments = &volume.spec.attachments;
    let nodes: BTreeSet<&NodeName> = attachments.iter().map(|a| &a.node_name).collect();
    let rule = match volume.spec.access {
        Access::SingleHost if attachments.len() > 1 => {
            Some("a SingleHost volume can be attached to one node at a time".to_owned())
        }
        Access::MultiHost if attachments.len() > MOST_HOSTS => {
            Some(format!("a volume can be attached to {MOST_HOSTS} nodes"))
        }
        _ if nodes.len() < attachments.len() => Some("a node can be named only once".to_owned()),
        _ => None,
    };
    match rule {
        Some(rule) => Err(ParseError::Value {
            field: "spec.attachments",
            rule,
        }),
        None => Ok(volume),
    }
}

fn in_range(size: Bytes) -> bool {
    (Bytes(1)..=LARGEST).contains(&size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VOLUME: &str = "
apiVersion: weir.dev/v1alpha1
kind: Volume
metadata: {name: pg-data, labels: {app: pg}}
spec:
  id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  capacityBytes: 1073741824
  poolName: fast
  attachments: [{nodeName: app-1, generation: 3}]
";
    const POOL: &str = "
apiVersion: weir.dev/v1alpha1
kind: StoragePool
metadata: {name: fast}
spec:
  nodeName: storage-1
  engine: {kernel: {volumeGroup: weir-fast, devices: [/dev/vdb], thinPool: {capacityBytes: 4096}}}
  portals: [{address: 10.0.0.1}]
";

    #[test]
    fn a_volume_and_a_pool_are_read() {
        let Request::Volume(volume) = parse(VOLUME).unwrap() else {
            panic!("not a volume")
        };
        assert_eq!(volume.metadata.name.as_str(), "pg-data");
        assert_eq!(volume.spec.capacity_bytes, Bytes::GIB);
        let Request::Pool(pool) = parse(POOL).unwrap() else {
            panic!("not a pool")
        };
        assert_eq!(pool.spec.portals[0].port, 4420);
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let Request::Volume(volume) = parse(VOLUME).unwrap() else {
            panic!("not a volume")
        };
        let json = serde_json::to_string(&volume).unwrap();
        assert_eq!(parse(&json).unwrap(), Request::Volume(volume.clone()));
        let yaml = print(&volume).unwrap();
        assert_eq!(parse(&yaml).unwrap(), Request::Volume(volume));
    }

    #[test]
    fn a_wrong_object_still_has_a_name() {
        let text = VOLUME.replace("1073741824", "lots");
        let (kind, name) = peek(&text).unwrap();
        assert_eq!((kind.as_str(), name.as_str()), ("Volume", "pg-data"));
        assert_eq!(peek("kind: Volume"), None);
    }

    /// Each row: what is replaced in a good object, by what, and the field the error must name.
    #[test]
    fn a_bad_field_is_refused_by_name() {
        let rows = [
            (
                VOLUME,
                "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
                "12",
                "spec.id",
            ),
            (
                VOLUME,
                "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
                "00000000-0000-0000-0000-000000000000",
                "spec.id",
            ),
            (VOLUME, "1073741824", "0", "spec.capacityBytes"),
            (VOLUME, "1073741824", "-1", "spec.capacityBytes"),
            (
                VOLUME,
                "1073741824",
                "9223372036854775808",
                "spec.capacityBytes",
            ),
            (VOLUME, "1073741824", "lots", "spec.capacityBytes"),
            (VOLUME, "name: pg-data", "name: ../../etc", "metadata.name"),
            (VOLUME, "poolName: fast", "poolName: a/b", "spec.poolName"),
            (VOLUME, "poolName: fast", "", "spec"),
            (
                VOLUME,
                "generation: 3",
                "generation: x",
                "spec.attachments[0].generation",
            ),
            (
                VOLUME,
                "[{nodeName: app-1, generation: 3}]",
                "[{nodeName: a, generation: 1}, {nodeName: b, generation: 2}]",
                "spec.attachments",
            ),
            (
                VOLUME,
                "attachments: [{nodeName: app-1, generation: 3}]",
                "access: MultiHost\n  attachments: [{nodeName: a, generation: 1}, {nodeName: a, generation: 2}]",
                "spec.attachments",
            ),
            (
                VOLUME,
                "poolName: fast",
                "poolName: fast\n  access: Many",
                "spec.access",
            ),
            (VOLUME, "poolName", "poolNam", "spec.poolNam"),
            (VOLUME, "kind: Volume", "kind: Vol", "kind"),
            (VOLUME, "v1alpha1", "v2", "apiVersion"),
            (
                POOL,
                "/dev/vdb",
                "/etc/passwd",
                "spec.engine.kernel.devices",
            ),
            (
                POOL,
                "/dev/vdb",
                "/dev/../etc/passwd",
                "spec.engine.kernel.devices",
            ),
            (POOL, "weir-fast", "../x", "spec.engine.kernel"),
            (POOL, "10.0.0.1", "0.0.0.0", "spec.portals.address"),
            (POOL, "10.0.0.1", "example.org", "spec.portals[0].address"),
            (POOL, "10.0.0.1", "'::'", "spec.portals.address"),
            (POOL, "10.0.0.1", "'::ffff:0.0.0.0'", "spec.portals.address"),
            (
                POOL,
                "10.0.0.1}",
                "10.0.0.1, prt: 1}",
                "spec.portals[0].prt",
            ),
            (
                POOL,
                "capacityBytes: 4096",
                "capacityBytes: 4096, x: 1",
                "spec.engine.kernel.thinPool.x",
            ),
            (
                VOLUME,
                "generation: 3",
                "generation: 3, force: true",
                "spec.attachments[0].force",
            ),
            (POOL, "10.0.0.1}", "10.0.0.1, port: 0}", "spec.portals.port"),
            (
                POOL,
                "capacityBytes: 4096",
                "capacityBytes: 0",
                "thinPool.capacityBytes",
            ),
        ];
        for (good, from, to, field) in rows {
            assert!(good.contains(from), "{from}");
            let error = parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(field), "{to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_broken_object_panics(cut in 0..VOLUME.len(), junk in "\\PC{0,8}") {
            let mut text = VOLUME.to_owned();
            text.insert_str(cut, &junk);
            let _ = parse(&text);
        }
    }
}
