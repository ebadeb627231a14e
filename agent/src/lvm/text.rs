//! The language in which LVM writes its metadata (lvm.conf(5)): sections of names with values.

use std::iter::Peekable;
use std::str::Chars;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Also numbers with a fraction, as they are written.
    Word(String),
    /// In quotes.
    Text(String),
    /// `[ ... ]`
    List(Vec<Value>),
}

/// `name { ... }`, or the whole text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    values: Vec<(String, Value)>,
    sections: Vec<(String, Section)>,
}

/// So deep are sections in each other at the most: a group's metadata has four.
const DEPTH: usize = 8;

impl Section {
    /// Reads a text. What follows a NUL is not part of it.
    ///
    /// # Errors
    /// Says what was not understood.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.split('\0').next().unwrap_or_default();
        let mut tokens = Tokens(text.chars().peekable());
        tokens.section(DEPTH, false)
    }

    /// The sections in this one, in order.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        let named = self.sections.iter();
        named.map(|(name, section)| (name.as_str(), section))
    }

    /// The section with this name.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn section(&self, name: &str) -> Result<&Section, String> {
        let found = self.optional(name)?;
        found.ok_or_else(|| format!("there is no section `{name}`"))
    }

    /// The section with this name, if there is one.
    ///
    /// # Errors
    /// There are two.
    pub fn optional(&self, name: &str) -> Result<Option<&Section>, String> {
        let mut found = self.sections().filter(|(other, _)| *other == name);
        match (found.next(), found.next()) {
            (found, None) => Ok(found.map(|(_, section)| section)),
            (_, Some(_)) => Err(format!("there are two sections `{name}`")),
        }
    }

    /// The value with this name, if there is one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let mut values = self.values.iter();
        let found = values.find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }

    /// The text with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        match self.value(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(format!("`{name}` is no text")),
        }
    }

    /// The number with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn number(&self, name: &str) -> Result<u64, String> {
        let number = match self.value(name) {
            Some(Value::Word(word)) => word.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| format!("`{name}` is no number"))
    }

    /// The list of texts with this name; empty where there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, String> {
        let list = match self.value(name) {
            None => return Ok(Vec::new()),
            Some(Value::List(list)) => list.as_slice(),
            Some(single) => std::slice::from_ref(single),
        };
        let texts = list.iter().map(|value| match value {
            Value::Text(text) => Ok(text.as_str()),
            Value::Word(_) | Value::List(_) => Err(format!("`{name}` is no list of texts")),
        });
        texts.collect()
    }
}

struct Tokens<'a>(Peekable<Chars<'a>>);

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

impl Tokens<'_> {
    /// What stands up to the end, or up to the `}` of a section.
    fn section(&mut self, depth: usize, is_inner: bool) -> Result<Section, String> {
        let depth = depth.checked_sub(1).ok_or("sections are too deep")?;
        let mut section = Section::default();
        loop {
            let name = match self.token()? {
                None if !is_inner => return Ok(section),
                Some(Token::Sign('}')) if is_inner => return Ok(section),
                Some(Token::Word(name)) => name,
                other => return Err(format!("{other:?} where a name was to be")),
            };
            match self.token()? {
                Some(Token::Sign('{')) => {
                    let inner = self.section(depth, true)?;
                    section.sections.push((name, inner));
                }
                Some(Token::Sign('=')) => {
                    let value = self.value()?;
                    section.values.push((name, value));
                }
                other => return Err(format!("{other:?} after `{name}`")),
            }
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.token()? {
            Some(Token::Word(word)) => Ok(Value::Word(word)),
            Some(Token::Text(text)) => Ok(Value::Text(text)),
            Some(Token::Sign('[')) => self.list(),
            other => Err(format!("{other:?} where a value was to be")),
        }
    }

    fn list(&mut self) -> Result<Value, String> {
        let mut list = Vec::new();
        loop {
            match self.token()? {
                Some(Token::Sign(']')) => return Ok(Value::List(list)),
                Some(Token::Sign(',')) => {}
                Some(Token::Word(word)) => list.push(Value::Word(word)),
                Some(Token::Text(text)) => list.push(Value::Text(text)),
                other => return Err(format!("{other:?} in a list")),
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, String> {
        loop {
            match self.0.next() {
                None => return Ok(None),
                Some('#') => while self.0.next().is_some_and(|next| next != '\n') {},
                Some(space) if space.is_whitespace() => {}
                Some('"') => return self.quoted().map(Some),
                Some(sign @ ('{' | '}' | '[' | ']' | '=' | ',')) => {
                    return Ok(Some(Token::Sign(sign)));
                }
                Some(first) => {
                    let mut word = String::from(first);
                    let ends = |next: &char| next.is_whitespace() || "{}[]=,#\"".contains(*next);
                    while let Some(next) = self.0.next_if(|next| !ends(next)) {
                        word.push(next);
                    }
                    return Ok(Some(Token::Word(word)));
                }
            }
        }
    }

    /// LVM writes a backslash before quotes and backslashes (libdm's `dm_escape_double_quotes`).
    fn quoted(&mut self) -> Result<Token, String> {
        let mut text = String::new();
        loop {
            match self.0.next() {
                Some('"') => return Ok(Token::Text(text)),
                Some('\\') => text.push(self.0.next().ok_or("a text does not end")?),
                Some(other) => text.push(other),
                None => return Err("a text does not end".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_values_lists_and_sections_are_read() {
        let text = "g {\n  n = 7 # seven\n l = [\"a\", \"b\\\"\\\\\"]\n e = []\n s { t = \"{x\" }\n}\n\
                    v = 0.5\0junk";
        let read = Section::read(text).unwrap();
        let group = read.section("g").unwrap();
        assert_eq!(group.number("n"), Ok(7));
        assert_eq!(group.texts("l").unwrap(), ["a", "b\"\\"]);
        assert!(group.texts("e").unwrap().is_empty());
        assert!(group.texts("absent").unwrap().is_empty());
        assert_eq!(group.section("s").unwrap().text("t"), Ok("{x"));
        assert!(read.number("v").is_err());
        assert!(read.section("absent").is_err());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "a", "a {", "a = ", "a = [", "a = \"b", "}", "= 1", "a = {", "a b",
        ] {
            assert!(Section::read(text).is_err(), "{text}");
        }
        let twice = Section::read("a { }\na { }").unwrap();
        assert!(twice.section("a").is_err());
        assert!(Section::read(&"a {".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-c{}=\\[\\]\", #\\\\\n]{0,64}") {
            let _ = Section::read(&text);
        }
    }
}
