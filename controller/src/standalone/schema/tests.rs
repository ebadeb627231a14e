//! Tests of schemas: each keyword's words, and what isn't served.

use serde_json::{Value, json};

use crate::standalone::fixtures::{body, definition, kind_with_spec, resource, uid, writer};
use crate::standalone::resource::{Resource, ResourceError};
use crate::standalone::schema::Schema;

/// The causes for a value that stands where a schema of its own says what it is.
fn causes(schema: Value, value: Value) -> Vec<String> {
    let kind = kind_with_spec(json!({
        "type": "object", "properties": {"x": schema}, "required": ["x"],
    }));
    match writer(&kind).create(None, body(&kind, json!({"x": value})), uid()) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let causes = error.causes().iter();
            causes
                .map(|c| format!("{}|{}|{}", c.reason.as_str(), c.message, c.field))
                .collect()
        }
    }
}

#[test]
fn every_keyword_has_a_real_servers_words() {
    let strings = json!({"type": "string"});
    let rows = [
        (
            json!({"type": "integer", "minimum": 3}),
            json!(2),
            "FieldValueInvalid|Invalid value: 2: spec.x in body should be greater than or equal to 3|spec.x",
        ),
        (
            json!({"type": "integer", "minimum": 3, "exclusiveMinimum": true}),
            json!(3),
            "FieldValueInvalid|Invalid value: 3: spec.x in body should be greater than 3|spec.x",
        ),
        (
            json!({"type": "integer", "maximum": 3}),
            json!(4),
            "FieldValueInvalid|Invalid value: 4: spec.x in body should be less than or equal to 3|spec.x",
        ),
        (
            json!({"type": "integer", "maximum": 3, "exclusiveMaximum": true}),
            json!(3),
            "FieldValueInvalid|Invalid value: 3: spec.x in body should be less than 3|spec.x",
        ),
        (
            json!({"type": "integer", "multipleOf": 4}),
            json!(6),
            "FieldValueInvalid|Invalid value: 6: spec.x in body should be a multiple of 4|spec.x",
        ),
        (
            json!({"type": "integer"}),
            json!("a"),
            "FieldValueTypeInvalid|Invalid value: \"string\": spec.x in body must be of type integer: \"string\"|spec.x",
        ),
        (
            json!({"type": "integer"}),
            json!(1.5),
            "FieldValueTypeInvalid|Invalid value: \"number\": spec.x in body must be of type integer: \"number\"|spec.x",
        ),
        (
            json!({"type": "integer"}),
            json!(1e300),
            "FieldValueTypeInvalid|Invalid value: \"number\": spec.x in body must be of type integer: \"number\"|spec.x",
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(1_i64 << 31),
            "FieldValueTypeInvalid|Invalid value: \"integer\": spec.x in body must be of type int32: \"integer\"|spec.x",
        ),
        (
            json!({"type": "string"}),
            json!(1),
            "FieldValueTypeInvalid|Invalid value: \"integer\": spec.x in body must be of type string: \"integer\"|spec.x",
        ),
        (
            json!({"type": "boolean"}),
            json!({}),
            "FieldValueTypeInvalid|Invalid value: \"object\": spec.x in body must be of type boolean: \"object\"|spec.x",
        ),
        (
            json!({"type": "object"}),
            json!([]),
            "FieldValueTypeInvalid|Invalid value: \"array\": spec.x in body must be of type object: \"array\"|spec.x",
        ),
        (
            json!({"type": "array", "items": strings}),
            json!(true),
            "FieldValueTypeInvalid|Invalid value: \"boolean\": spec.x in body must be of type array: \"boolean\"|spec.x",
        ),
        (
            json!({"type": "array", "items": strings}),
            json!(["a", null]),
            "FieldValueTypeInvalid|Invalid value: \"null\": spec.x[1] in body must be of type string: \"null\"|spec.x[1]",
        ),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            "FieldValueInvalid|Invalid value: \"\": spec.x in body should be at least 1 chars long|spec.x",
        ),
        (
            json!({"type": "string", "maxLength": 2}),
            json!("abc"),
            "FieldValueTooLong|Too long: may not be more than 2 bytes|spec.x",
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            "FieldValueInvalid|Invalid value: \"b\": spec.x in body should match '^a+$'|spec.x",
        ),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            "FieldValueNotSupported|Unsupported value: \"c\": supported values: \"a\", \"b\"|spec.x",
        ),
        (
            json!({"type": "integer", "enum": [1, 2]}),
            json!(3),
            "FieldValueNotSupported|Unsupported value: 3: supported values: \"1\", \"2\"|spec.x",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("now"),
            "FieldValueTypeInvalid|Invalid value: \"now\": spec.x in body must be of type date-time: \"now\"|spec.x",
        ),
        (
            json!({"type": "array", "items": strings, "minItems": 1}),
            json!([]),
            "FieldValueInvalid|Invalid value: 0: spec.x in body should have at least 1 items|spec.x",
        ),
        (
            json!({"type": "array", "items": strings, "maxItems": 1}),
            json!(["a", "b"]),
            "FieldValueTooMany|Too many: 2: must have at most 1 items|spec.x",
        ),
        (
            json!({"type": "object", "additionalProperties": strings, "maxProperties": 1}),
            json!({"a": "", "b": ""}),
            "FieldValueTooMany|Too many: 2: must have at most 1 items|spec.x",
        ),
        (
            json!({"type": "object", "additionalProperties": strings, "minProperties": 1}),
            json!({}),
            "FieldValueInvalid|Invalid value: 0: spec.x in body should have at least 1 properties|spec.x",
        ),
        (
            json!({"type": "object", "additionalProperties": strings}),
            json!({"a.b": 1}),
            "FieldValueTypeInvalid|Invalid value: \"integer\": spec.x.a.b in body must be of type string: \"integer\"|spec.x.a.b",
        ),
        (
            json!({"type": "object", "properties": {"y": strings}, "required": ["y"]}),
            json!({}),
            "FieldValueRequired|Required value|spec.x.y",
        ),
        (
            json!({"type": "string"}),
            json!(null),
            "FieldValueRequired|Required value|spec.x",
        ),
        (
            json!({"type": "array", "items": strings, "x-kubernetes-list-type": "set"}),
            json!(["a", "b", "a"]),
            "FieldValueDuplicate|Duplicate value: \"a\"|spec.x[2]",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": strings, "v": strings}}}),
            json!([{"k": "a", "v": "1"}, {"k": "a", "v": "2"}]),
            "FieldValueDuplicate|Duplicate value: {\"k\":\"a\"}|spec.x[1]",
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(1.5),
            "FieldValueTypeInvalid|Invalid value: \"number\": spec.x in body must be of type integer,string: \"number\"|spec.x",
        ),
        (
            json!({"type": "object", "properties": {"a": strings, "b": strings},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"a": "1", "b": "2"}),
            "FieldValueInvalid|Invalid value: spec.x in body must validate one and only one schema (oneOf). Found more than one valid|spec.x",
        ),
    ];
    for (schema, value, expected) in rows {
        assert_eq!(causes(schema.clone(), value), [expected], "{schema}");
    }
}

#[test]
fn what_fits_is_accepted() {
    let rows = [
        (json!({"type": "integer"}), json!(1.0)),
        (json!({"type": "integer"}), json!(i64::MIN)),
        (json!({"type": "number"}), json!(1)),
        (
            json!({"type": "string", "nullable": true, "enum": ["a"]}),
            json!(null),
        ),
        (json!({"type": "string", "maxLength": 2}), json!("äö")),
        (json!({"type": "string", "format": "unknown"}), json!("x")),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!(["a", "a"]),
        ),
    ];
    for (schema, value) in rows {
        assert_eq!(
            causes(schema.clone(), value),
            Vec::<String>::new(),
            "{schema}"
        );
    }
}

#[test]
fn what_would_be_served_otherwise_is_not_served() {
    let spec = |spec: Value| json!({"type": "object", "properties": {"spec": spec}});
    let rule = |rule: Value| spec(json!({"type": "string", "x-kubernetes-validations": [rule]}));
    let rows = [
        (json!("x"), "a schema has to be an object"),
        (spec(json!({})), "spec: no type"),
        (spec(json!({"type": "text"})), "no type is called"),
        (spec(json!({"type": "array"})), "spec: a list has to say"),
        (
            spec(json!({"type": "object", "additionalProperties": true})),
            "additionalProperties",
        ),
        (
            spec(json!({"type": "object", "x-kubernetes-embedded-resource": true})),
            "embedded",
        ),
        (
            spec(json!({"type": "array", "items": {"type": "string"},
                     "x-kubernetes-list-type": "map"})),
            "without keys",
        ),
        (spec(json!({"type": "string", "pattern": "("})), "pattern"),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {}}}}),
            "metadata: properties of the metadata",
        ),
        (rule(json!({})), "a rule without a rule"),
        (rule(json!({"rule": "self =="})), "can't be compiled"),
        (
            rule(json!({"rule": "quantity(self).isGreaterThan(self)"})),
            "\"isGreaterThan\"",
        ),
        (
            rule(json!({"rule": "other == 'x'"})),
            "\"other\" is not declared",
        ),
        (
            rule(json!({"rule": "true", "messageExpression": "'x'"})),
            "messageExpression",
        ),
        (
            rule(json!({"rule": "true", "optionalOldSelf": true})),
            "optionalOldSelf",
        ),
        (
            rule(json!({"rule": "true", "reason": "Because"})),
            "no reason is called",
        ),
        (rule(json!({"rule": "true", "fieldPath": "x"})), "fieldPath"),
        (
            rule(json!({"rule": "self.all(a, self.all(b, self.all(c, true)))"})),
            "nested",
        ),
        (
            spec(
                json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [
            {"rule": "self == oldSelf"}]}}),
            ),
            "a list that isn't a map",
        ),
    ];
    for (schema, why) in rows {
        match Resource::of_crd(&definition(schema.clone())) {
            Err(ResourceError::Schema { source, .. }) => {
                assert!(source.to_string().contains(why), "{source} for {schema}");
            }
            other => panic!("{schema}: {:?}", other.map(|r| r.len())),
        }
    }
    let mut deep = json!({"type": "string"});
    for _ in 0..100 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(Schema::compile(&deep).is_err());
}

#[test]
fn a_rule_looks_at_no_more_than_it_can_in_a_moment() {
    let kind = kind_with_spec(json!({
        "type": "object",
        "properties": {"x": {
            "type": "array",
            "items": {"type": "integer"},
            "x-kubernetes-validations": [
                {"rule": "self.all(a, self.exists_one(b, a == b))", "message": "twice"}],
        }},
    }));
    let write = |count: i64| {
        let items: Vec<i64> = (0..count).collect();
        writer(&kind).create(None, body(&kind, json!({"x": items})), uid())
    };
    assert!(write(300).is_ok());
    let error = write(20_000).unwrap_err();
    assert!(
        error.message.contains("too much to look at"),
        "{}",
        error.message
    );
}

/// The API has to take 1,000 updates a second on one core, with everything else that one costs.
#[test]
fn an_update_takes_a_fraction_of_a_millisecond() {
    use crate::standalone::fixtures::{created, put};
    let kind = resource("weir.dev", "volumes");
    let spec = json!({"poolName": "pool-a", "nodeName": "n", "sizeBytes": 10_485_760});
    let old = created(&kind, body(&kind, spec));
    let begin = std::time::Instant::now();
    let rounds = 1_000;
    for round in 1..=rounds {
        let mut new = old.clone();
        new["spec"]["sizeBytes"] = json!(10_485_760 + round);
        assert!(put(&kind, &old, new).is_ok());
    }
    let each = begin.elapsed() / rounds;
    println!("an update: {each:?}");
    assert!(each.as_micros() < 2_000, "{each:?}");
}
