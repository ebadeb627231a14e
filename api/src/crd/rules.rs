//! The rules of the definitions (`x-kubernetes-validations`), and the part of CEL they may use.
//!
//! The standalone API evaluates these rules itself, so a rule may only use what two evaluators are known
//! to agree on:
//!
//! - `self`, `oldSelf`, and the variable that `all` or `exists` binds; `.field` of them;
//! - integers without sign, `'text'` without backslashes, `true`, `false`, lists `[a, b]` of these;
//! - `==` `!=` `<` `<=` `>` `>=` `&&` `||` `!` `in` `? :` and parentheses;
//! - `has(a.b)`, `size(a)`;
//! - `list.all(x, …)`, `list.exists(x, …)`, `text.contains(…)`, `text.startsWith(…)`, `text.matches('…')`.
//!
//! No arithmetic, no index, no `map` or `filter`, no `null`, no conversions, no library of Kubernetes' own.
//! A rule with `oldSelf` is one about changes: it is not evaluated where there is no old value.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use thiserror::Error;

/// Functions a rule may call.
pub const FUNCTIONS: [&str; 2] = ["has", "size"];
/// Methods a rule may call.
pub const METHODS: [&str; 5] = ["all", "contains", "exists", "matches", "startsWith"];
/// Operators and punctuation, the longer first.
const SYMBOLS: [&str; 17] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "?", ":", "(", ")", "[", "]", ",", ".",
];
/// Words that are no field's name in CEL unless they are escaped.
const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "while",
];

/// What in a rule is outside the subset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{what}` at byte {at} is outside the part of CEL that rules may use: {why}")]
pub struct OutsideSubset {
    /// The piece of text.
    pub what: String,
    /// Where it begins.
    pub at: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Checks that `rule` uses nothing outside the subset. That it is well-formed, an evaluator's parser says.
///
/// # Errors
/// Names the first piece that is outside.
pub fn check(rule: &str) -> Result<(), OutsideSubset> {
    let tokens = tokens(rule)?;
    let text = |index: usize| tokens.get(index).map_or("", |(_, text)| *text);
    let is_word = |index: usize| tokens.get(index).is_some_and(|(_, text)| is_word(text));
    let bound: BTreeSet<&str> = (2..tokens.len())
        .filter(|&i| ["all", "exists"].contains(&text(i - 2)) && text(i - 1) == "(")
        .map(text)
        .collect();
    for (index, &(at, token)) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", text);
        let refuse = |why| {
            let what = token.to_owned();
            Err(OutsideSubset { what, at, why })
        };
        if token == "["
            && (is_word(index.wrapping_sub(1)) && before != "in" || [")", "]"].contains(&before))
        {
            return refuse("no index");
        }
        if !is_word(index) {
            continue;
        }
        let (is_member, is_call) = (before == ".", text(index + 1) == "(");
        let variables = ["self", "oldSelf", "true", "false", "in"];
        let is_given = text(index + 2).starts_with('\'') && text(index + 3) == ")";
        match (is_member, is_call && token != "in") {
            (true, true) if token == "matches" && !is_given => {
                return refuse("the pattern has to stand in the rule, which it is compiled with");
            }
            (true, true) if !METHODS.contains(&token) => return refuse("no such method"),
            (true, false) if RESERVED.contains(&token) => return refuse("a reserved word"),
            (false, true) if !FUNCTIONS.contains(&token) => return refuse("no such function"),
            (false, false) if !variables.contains(&token) && !bound.contains(token) => {
                return refuse("no such variable");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every rule of a definition, with the path of the schema it stands at.
#[must_use]
pub fn of(definition: &CustomResourceDefinition) -> Vec<(String, String)> {
    fn walk(path: &str, schema: &Value, found: &mut Vec<(String, String)>) {
        match schema {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let rules = inner
                        .as_array()
                        .filter(|_| name == "x-kubernetes-validations");
                    let rules = rules.into_iter().flatten();
                    found.extend(
                        rules.filter_map(|r| {
                            Some((path.to_owned(), r["rule"].as_str()?.to_owned()))
                        }),
                    );
                    walk(&format!("{path}/{name}"), inner, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(path, item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let definition = serde_json::to_value(definition).unwrap_or_default();
    walk("", &definition["spec"], &mut found);
    found
}

/// Rules as they stand in a schema: each an expression, what to say where it is false, and the field
/// that is told, as a path from where the rule stands; none if that is the field.
pub(crate) fn rules(rules: &[(&str, &str, &str)]) -> Value {
    let rule = |&(rule, message, field): &(&str, &str, &str)| {
        let mut rule = json!({"rule": rule, "message": message});
        if !field.is_empty() {
            rule["fieldPath"] = field.into();
        }
        rule
    };
    rules.iter().map(rule).collect()
}

/// Words, numbers, texts and symbols, each with its place.
fn tokens(rule: &str) -> Result<Vec<(usize, &str)>, OutsideSubset> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = rule[at..].chars().next() {
        let rest = &rule[at..];
        let run = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let refuse = |why| {
            let what = first.to_string();
            Err(OutsideSubset { what, at, why })
        };
        let length = match first {
            ' ' => {
                at += 1;
                continue;
            }
            '\'' => match rest[1..].find(['\'', '\\']) {
                Some(end) if rest.as_bytes()[end + 1] == b'\'' => end + 2,
                _ => return refuse("a text without an end, or with a backslash in it"),
            },
            '0'..='9' => run(|c| c.is_ascii_digit()),
            'a'..='z' | 'A'..='Z' | '_' => run(|c| c.is_ascii_alphanumeric() || c == '_'),
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => symbol.len(),
                None => return refuse("no such operator"),
            },
        };
        tokens.push((at, &rest[..length]));
        at += length;
    }
    Ok(tokens)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `self.x.map(y, y) == []` as a rule of `StoragePoolSpec`.
    #[test]
    fn every_rule_of_every_definition_is_in_the_subset_and_parses() {
        let mut count = 0;
        for definition in crate::crd::all() {
            for (path, rule) in of(&definition) {
                let place = format!("{}{path}: {rule}", definition.spec.names.kind);
                check(&rule).unwrap_or_else(|error| panic!("{place}: {error}"));
                cel::Program::compile(&rule).unwrap_or_else(|error| panic!("{place}: {error}"));
                count += 1;
            }
        }
        assert!(count >= 40, "only {count} rules were found");
    }

    #[test]
    fn what_is_in_the_subset_is_allowed() {
        for rule in [
            "self == oldSelf",
            "!has(self.a) || self.a.b in ['x', 'y'] ? size(self.c) <= 12 : true",
            "self.list.all(item, item.name != '' && !item.name.startsWith('a(b'))",
            "self.list.exists(x, x.contains('.map(') || x.matches('^[a-z]+$'))",
            "self.a in [1, 2] && (self.b) != (self.c)",
        ] {
            assert_eq!(check(rule), Ok(()), "{rule}");
            cel::Program::compile(rule).unwrap();
        }
    }

    #[test]
    fn what_is_outside_the_subset_is_refused_by_name() {
        for (rule, what) in [
            ("self.x.map(y, y) == []", "map"),
            ("self.x.filter(y, y > 1).size() > 0", "filter"),
            ("size(self.x.y()) > 0", "y"),
            ("self.x.size() > 0", "size"),
            ("self.x.exists_one(y, y)", "exists_one"),
            ("self.x.matches(self.y)", "matches"),
            ("self.x.matches('a' in ['b'])", "matches"),
            ("self.x[0] == 1", "["),
            ("(self.x)['a'] == 1", "["),
            ("self.x + 1 > 2", "+"),
            ("self.x > -1", "-"),
            ("self.x == 1.5 * 2", "*"),
            ("self.x == null", "null"),
            ("self.x == \"text\"", "\""),
            ("self.x == 'a\\'b'", "'"),
            ("self.x == 'open", "'"),
            ("int(self.x) > 1", "int"),
            ("isIP(self.x)", "isIP"),
            ("other.x == 1", "other"),
            ("self.namespace == 'a'", "namespace"),
            ("self.all(x, x == y)", "y"),
            ("self == {}", "{"),
            ("self.x == 'ä' + 'é'", "+"),
            ("ä == self", "ä"),
        ] {
            let error = check(rule).expect_err(rule);
            assert_eq!(error.what, what, "{rule}");
        }
    }
}
