//! What the definitions are: complete, structural, and true about their own fields.

mod changes;
mod judge;
mod samples;
mod structure;
mod values;

use serde_json::Value;

/// The definitions as JSON, by kind.
fn definition(kind: &str) -> Value {
    let all = super::all();
    let definition = all.iter().find(|d| d.spec.names.kind == kind);
    serde_json::to_value(definition.expect(kind)).unwrap()
}

/// The schema of a kind.
fn schema(kind: &str) -> Value {
    definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn there_are_six_kinds_with_the_names_that_people_type() {
    let names: Vec<String> = super::all()
        .iter()
        .map(|d| {
            let spec = &d.spec;
            assert_eq!(
                (spec.group.clone(), spec.versions[0].name.clone()),
                ("weir.dev".to_owned(), "v1alpha1".to_owned())
            );
            let api_version = format!("{}/{}", spec.group, spec.versions[0].name);
            assert_eq!(api_version, crate::names::API_VERSION);
            assert_eq!(spec.scope, "Cluster");
            assert_eq!(spec.versions.len(), 1);
            assert_eq!(spec.preserve_unknown_fields, None);
            assert!(
                spec.versions[0]
                    .subresources
                    .as_ref()
                    .unwrap()
                    .status
                    .is_some()
            );
            assert_eq!(spec.names.categories, Some(vec!["weir".to_owned()]));
            let short = spec.names.short_names.as_ref().unwrap().join(",");
            format!("{} {} {short}", spec.names.kind, spec.names.plural)
        })
        .collect();
    assert_eq!(
        names,
        [
            "StoragePool storagepools wpool",
            "Volume volumes wvol",
            "Snapshot snapshots wsnap",
            "VolumeSet volumesets wset",
            "VolumeMigration volumemigrations wmig",
            "Tombstone tombstones wtomb",
        ]
    );
}

#[test]
fn yaml_is_the_same_each_time_and_says_what_the_definition_says() {
    for definition in super::all() {
        let yaml = super::yaml(&definition);
        assert_eq!(yaml, super::yaml(&definition.clone()));
        let read: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(read, definition);
        assert!(!yaml.contains(".0\n"), "a whole number with a fraction");
    }
}
