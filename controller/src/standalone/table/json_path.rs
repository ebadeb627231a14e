//! Simple JSON paths, as definitions use them for columns.

use serde_json::Value;

/// One step.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `.name`, `['name']`.
    Field(String),
    /// `[0]`, or from the end: `[-1]`.
    Index(i64),
    /// `[*]`, `.*`.
    All,
    /// `[?(@.type=="Ready")]`.
    Where {
        path: Vec<String>,
        equal: bool,
        value: Value,
    },
}

/// A path, read once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

impl JsonPath {
    /// Reads a path. Slices, unions, `..` and functions are not known.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim().strip_prefix('$').unwrap_or(text.trim());
        while !rest.is_empty() {
            let step;
            (step, rest) = match rest.strip_prefix('.') {
                Some(field) if !field.starts_with('[') => field_step(field)?,
                Some(bracket) => bracket_step(bracket)?,
                None => bracket_step(rest)?,
            };
            steps.push(step);
        }
        (!steps.is_empty()).then_some(JsonPath { steps })
    }

    /// The first value that the path leads to.
    pub(crate) fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        walk(&self.steps, value)
    }
}

fn walk<'v>(steps: &[Step], value: &'v Value) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    match step {
        Step::Field(name) => walk(rest, value.get(name)?),
        Step::Index(index) => {
            let items = value.as_array()?;
            let at = match usize::try_from(*index) {
                Ok(at) => at,
                Err(_) => items
                    .len()
                    .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
            };
            walk(rest, items.get(at)?)
        }
        Step::All => match value {
            Value::Array(items) => items.iter().find_map(|v| walk(rest, v)),
            Value::Object(map) => map.values().find_map(|v| walk(rest, v)),
            _ => None,
        },
        Step::Where {
            path,
            equal,
            value: wanted,
        } => {
            let takes = |item: &&Value| {
                let found = path.iter().try_fold(*item, |v, name| v.get(name));
                found.is_some_and(|f| (f == wanted) == *equal)
            };
            value
                .as_array()?
                .iter()
                .filter(takes)
                .find_map(|v| walk(rest, v))
        }
    }
}

fn field_step(text: &str) -> Option<(Step, &str)> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name {
        "" => None,
        "*" => Some((Step::All, rest)),
        name => Some((Step::Field(name.to_owned()), rest)),
    }
}

fn bracket_step(text: &str) -> Option<(Step, &str)> {
    let inside = text.strip_prefix('[')?;
    if let Some(filter) = inside.strip_prefix("?(") {
        let end = filter.find(")]")?;
        return Some((filter_step(&filter[..end])?, &filter[end + 2..]));
    }
    let end = inside.find(']')?;
    let (inner, rest) = (inside[..end].trim(), &inside[end + 1..]);
    let step = match inner {
        "*" => Step::All,
        _ => match quoted(inner) {
            Some(name) => Step::Field(name.to_owned()),
            None => Step::Index(inner.parse().ok()?),
        },
    };
    Some((step, rest))
}

fn filter_step(text: &str) -> Option<Step> {
    let (left, right, equal) = match text.split_once("==") {
        Some((left, right)) => (left, right, true),
        None => {
            let (left, right) = text.split_once("!=")?;
            (left, right, false)
        }
    };
    let path = left.trim().strip_prefix("@.")?;
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let right = right.trim();
    let value = match quoted(right) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(right)
            .ok()
            .filter(|v: &Value| !v.is_object())?,
    };
    (!path.iter().any(String::is_empty)).then_some(Step::Where { path, equal, value })
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"']
        .iter()
        .find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
}
