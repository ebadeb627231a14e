//! Kinds from a `CustomResourceDefinition`.

use serde_json::{Value, json};

use super::{Nature, Resource, ResourceError};
use crate::standalone::schema::Schema;
use crate::standalone::table::Column;

/// The kinds that a definition serves.
pub(super) fn resources(crd: &Value) -> Result<Vec<Resource>, ResourceError> {
    let definition = Definition { crd };
    let versions = definition.list("/spec/versions")?;
    let served = versions.iter().filter(|v| v["served"] == true);
    served.map(|version| definition.resource(version)).collect()
}

struct Definition<'a> {
    crd: &'a Value,
}

impl<'a> Definition<'a> {
    fn malformed(&self, field: &str) -> ResourceError {
        let name = self.name();
        ResourceError::Malformed {
            name,
            field: field.trim_start_matches('/').replace('/', "."),
        }
    }

    fn name(&self) -> String {
        self.crd["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn text(&self, pointer: &str) -> Result<String, ResourceError> {
        let text = self
            .crd
            .pointer(pointer)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| self.malformed(pointer))
    }

    fn list(&self, pointer: &str) -> Result<&'a [Value], ResourceError> {
        match self.crd.pointer(pointer) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.malformed(pointer)),
        }
    }

    fn texts(&self, pointer: &str) -> Result<Vec<String>, ResourceError> {
        let texts = self
            .list(pointer)?
            .iter()
            .map(|v| v.as_str().map(str::to_owned));
        texts
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed(pointer))
    }

    fn resource(&self, version: &Value) -> Result<Resource, ResourceError> {
        let unsupported = |what: &str| ResourceError::Unsupported {
            name: self.name(),
            what: what.to_owned(),
        };
        let (group, kind) = (self.text("/spec/group")?, self.text("/spec/names/kind")?);
        let plural = self.text("/spec/names/plural")?;
        let name = version["name"]
            .as_str()
            .ok_or_else(|| self.malformed("spec.versions[].name"))?;
        if version.pointer("/subresources/scale").is_some() {
            return Err(unsupported("the scale subresource"));
        }
        let open_api = version
            .pointer("/schema/openAPIV3Schema")
            .ok_or_else(|| self.malformed("spec.versions[].schema.openAPIV3Schema"))?;
        let schema = Schema::compile(open_api).map_err(|source| ResourceError::Schema {
            kind: kind.clone(),
            source,
        })?;
        let namespaced = match self.text("/spec/scope")?.as_str() {
            "Namespaced" => true,
            "Cluster" => false,
            _ => return Err(self.malformed("spec.scope")),
        };
        let columns = version["additionalPrinterColumns"].as_array();
        let columns = columns.into_iter().flatten().map(|column| {
            Column::of(column)
                .ok_or_else(|| self.malformed("spec.versions[].additionalPrinterColumns"))
        });
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        let selectable = selectable.map(|field| {
            let path = field["jsonPath"]
                .as_str()
                .and_then(|path| path.strip_prefix('.'));
            path.map(str::to_owned)
                .ok_or_else(|| self.malformed("spec.versions[].selectableFields"))
        });
        Ok(Resource {
            version: name.to_owned(),
            singular: self
                .text("/spec/names/singular")
                .unwrap_or_else(|_| kind.to_lowercase()),
            short_names: self.texts("/spec/names/shortNames")?,
            categories: self.texts("/spec/names/categories")?,
            namespaced,
            has_status: version.pointer("/subresources/status").is_some(),
            has_generation: true,
            is_always_empty: false,
            nature: Nature::Custom,
            columns: columns.collect::<Result<_, _>>()?,
            selectable: selectable.collect::<Result<_, _>>()?,
            schema,
            open_api: described(open_api, &group, name, &kind),
            storage: format!("{group}/{plural}"),
            group,
            plural,
            kind,
        })
    }
}

/// The schema as documents have it: with the kind's name, and the fields of every object.
pub(super) fn described(open_api: &Value, group: &str, version: &str, kind: &str) -> Value {
    let mut schema = open_api.clone();
    schema["x-kubernetes-group-version-kind"] =
        json!([{"group": group, "version": version, "kind": kind}]);
    schema["properties"]["apiVersion"] = json!({
        "type": "string",
        "description": "The group and version of the object's kind.",
    });
    schema["properties"]["kind"] = json!({
        "type": "string",
        "description": "The object's kind.",
    });
    schema["properties"]["metadata"] = json!({
        "type": "object",
        "description": "The object's name, labels and what else every object has.",
    });
    schema
}
