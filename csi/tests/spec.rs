//! `proto/csi.proto` against the interface as it is published (`SPEC.tsv`), in both directions.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

use std::collections::BTreeSet;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

const SPEC: &str = include_str!("../SPEC.tsv");

fn ours() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(weir_csi::proto::DESCRIPTORS).unwrap();
    let mut rows = BTreeSet::new();
    for file in set.file.iter().filter(|file| file.package() == "csi.v1") {
        file.service.iter().for_each(|one| service(one, &mut rows));
        file.enum_type
            .iter()
            .for_each(|one| values(one, "", &mut rows));
        file.message_type
            .iter()
            .for_each(|one| message(one, "", &mut rows));
    }
    rows
}

fn service(service: &ServiceDescriptorProto, rows: &mut BTreeSet<String>) {
    for method in &service.method {
        assert!(!method.client_streaming());
        let stream = if method.server_streaming() {
            "stream "
        } else {
            ""
        };
        let (asked, answered) = (short(method.input_type()), short(method.output_type()));
        rows.insert(format!(
            "method\t{}\t{}\t\t{asked} -> {stream}{answered}\t",
            service.name(),
            method.name()
        ));
    }
}

fn message(message: &DescriptorProto, within: &str, rows: &mut BTreeSet<String>) {
    let full = format!("{within}{}", message.name());
    rows.insert(format!("message\t{full}\t\t\t\t"));
    for field in &message.field {
        let mut notes = Vec::new();
        if let Some(index) = field.oneof_index {
            let index = usize::try_from(index).unwrap();
            notes.push(format!("oneof {}", message.oneof_decl[index].name()));
        }
        // The mark itself is not in our file; what has it is named so, and nothing else is.
        if field.name() == "secrets" {
            notes.push("secret".to_owned());
        }
        rows.insert(format!(
            "field\t{full}\t{}\t{}\t{}\t{}",
            field.name(),
            field.number(),
            kind(field, message),
            notes.join(", ")
        ));
    }
    let inner = format!("{full}.");
    message
        .enum_type
        .iter()
        .for_each(|one| values(one, &inner, rows));
    let nested = message.nested_type.iter();
    nested
        .filter(|nested| !is_entry(nested))
        .for_each(|nested| self::message(nested, &inner, rows));
}

fn values(of: &EnumDescriptorProto, within: &str, rows: &mut BTreeSet<String>) {
    for value in &of.value {
        let (name, number) = (value.name(), value.number());
        rows.insert(format!(
            "value\t{within}{}\t{name}\t{number}\t\t",
            of.name()
        ));
    }
}

fn kind(field: &FieldDescriptorProto, of: &DescriptorProto) -> String {
    let entry = of.nested_type.iter().find(|nested| {
        is_entry(nested) && field.type_name().ends_with(&format!(".{}", nested.name()))
    });
    if let Some(entry) = entry {
        let [key, value] = &entry.field[..] else {
            panic!("a map of more than keys and values")
        };
        return format!("map<{}, {}>", base(key), base(value));
    }
    let repeated = if field.label() == Label::Repeated {
        "repeated "
    } else {
        ""
    };
    format!("{repeated}{}", base(field))
}

fn base(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::String => "string".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        // The published file names its types from where they stand.
        Type::Message | Type::Enum => {
            let name = short(field.type_name());
            match name.starts_with("google.") {
                true => name.to_owned(),
                false => name.rsplit('.').next().unwrap_or_default().to_owned(),
            }
        }
        other => panic!("the interface has no {other:?}"),
    }
}

fn is_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

fn short(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    name.strip_prefix("csi.v1.").unwrap_or(name)
}

fn published() -> BTreeSet<String> {
    let rows = SPEC.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(str::to_owned).collect()
}

/// Seen red with: `bool readonly = 6` of `NodePublishVolumeRequest` as number 9; a message more.
#[test]
fn the_protocol_is_the_published_one() {
    let (ours, published) = (ours(), published());
    let missing: Vec<_> = published.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&published).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing: {missing:#?}\ninvented: {invented:#?}"
    );
    assert!(published.len() > 350, "{}", published.len());
}
