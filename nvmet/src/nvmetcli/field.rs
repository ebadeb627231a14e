//! A JSON value and where it stands.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use super::NvmetcliError;

/// A value and its path from the root.
pub(super) struct Field<'a> {
    path: String,
    value: &'a Value,
}

/// An object's members, each to be taken once; what is left is unknown.
pub(super) struct Object<'a> {
    path: String,
    members: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Field {
            path: String::new(),
            value,
        }
    }

    pub(super) fn wrong(&self, problem: impl Into<String>) -> NvmetcliError {
        let path = if self.path.is_empty() {
            "the file"
        } else {
            &self.path
        };
        NvmetcliError::field(path, problem)
    }

    pub(super) fn object(self) -> Result<Object<'a>, NvmetcliError> {
        let Value::Object(members) = self.value else {
            return Err(self.wrong("is not an object"));
        };
        Ok(Object {
            path: self.path,
            members: members
                .iter()
                .map(|(key, value)| (key.as_str(), value))
                .collect(),
        })
    }

    pub(super) fn list(self) -> Result<Vec<Field<'a>>, NvmetcliError> {
        let Value::Array(entries) = self.value else {
            return Err(self.wrong("is not a list"));
        };
        let entry = |(nth, value)| Field {
            path: format!("{}[{nth}]", self.path),
            value,
        };
        Ok(entries.iter().enumerate().map(entry).collect())
    }

    /// nvmetcli writes texts; people write numbers too.
    pub(super) fn text(&self) -> Result<String, NvmetcliError> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(if *value { "1" } else { "0" }.to_owned()),
            _ => Err(self.wrong("is neither a text nor a number")),
        }
    }

    pub(super) fn parse<V>(&self) -> Result<V, NvmetcliError>
    where
        V: FromStr,
        V::Err: Display,
    {
        let text = self.text()?;
        text.parse()
            .map_err(|error: V::Err| self.wrong(format!("`{text}`: {error}")))
    }

    pub(super) fn boolean(&self) -> Result<bool, NvmetcliError> {
        match self.text()?.as_str() {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(self.wrong(format!("`{other}` is neither 0 nor 1"))),
        }
    }

    /// Decimal, or hexadecimal as the kernel shows some.
    pub(super) fn number(&self) -> Result<u32, NvmetcliError> {
        let text = self.text()?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map_err(|error| self.wrong(format!("`{text}`: {error}")))
    }

    pub(super) fn convert<V>(&self) -> Result<V, NvmetcliError>
    where
        V: TryFrom<u32>,
        V::Error: Display,
    {
        let number = self.number()?;
        V::try_from(number).map_err(|error| self.wrong(error.to_string()))
    }

    /// A word of the kernel's; a word that isn't one is said.
    pub(super) fn word<V>(&self, named: impl Fn(&str) -> Option<V>) -> Result<V, NvmetcliError> {
        let text = self.text()?;
        named(&text).ok_or_else(|| self.wrong(format!("`{text}` is none of the kernel's words")))
    }
}

impl<'a> Object<'a> {
    /// A member that may be missing.
    pub(super) fn take(&mut self, name: &str) -> Option<Field<'a>> {
        let value = self.members.remove(name)?;
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Some(Field { path, value })
    }

    /// A member that must be there.
    pub(super) fn need(&mut self, name: &str) -> Result<Field<'a>, NvmetcliError> {
        let path = self.path.clone();
        self.take(name).ok_or_else(|| {
            let dot = if path.is_empty() { "" } else { "." };
            NvmetcliError::field(format_args!("{path}{dot}{name}"), "is missing")
        })
    }

    /// A group of attributes, empty where it is missing.
    pub(super) fn group(&mut self, name: &str) -> Result<Object<'a>, NvmetcliError> {
        match self.take(name) {
            Some(field) => field.object(),
            None => Ok(Object {
                path: format!("{}.{name}", self.path),
                members: BTreeMap::new(),
            }),
        }
    }

    /// The entries of a list, none where it is missing.
    pub(super) fn entries(&mut self, name: &str) -> Result<Vec<Field<'a>>, NvmetcliError> {
        self.take(name).map_or(Ok(Vec::new()), Field::list)
    }

    /// An attribute that may be missing, or empty: nvmetcli then writes nothing.
    pub(super) fn attribute<V>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Result<V, NvmetcliError>,
    ) -> Result<Option<V>, NvmetcliError> {
        match self.take(name) {
            Some(field) if field.text()?.is_empty() => Ok(None),
            Some(field) => read(&field).map(Some),
            None => Ok(None),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), NvmetcliError> {
        match self.members.keys().next() {
            Some(name) => {
                let dot = if self.path.is_empty() { "" } else { "." };
                let field = format!("{}{dot}{name}", self.path);
                Err(NvmetcliError::field(
                    field,
                    "is nothing that this library knows",
                ))
            }
            None => Ok(()),
        }
    }
}
