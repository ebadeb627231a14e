//! Label selectors: `a=b,!c,x in (y,z),k!=v`.

use serde_json::Value;

use crate::standalone::error::ApiError;
use crate::standalone::store::indexed::Indexed;
use crate::standalone::write::{label_value_errors, qualified_name_errors};

/// Longer selectors are refused; a URL has its bounds as well.
const LONGEST: usize = 64 * 1024;

/// What is asked of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    /// Also when there is no such label.
    NotIn(Vec<String>),
    Exists,
    Absent,
    /// As integers.
    Greater(i64),
    Less(i64),
}

/// A selection by labels. The empty one takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    tests: Vec<(String, Test)>,
}

impl LabelSelector {
    /// Reads a selector as it stands in a query.
    ///
    /// # Errors
    /// 400 when it can't be understood.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        if text.len() > LONGEST {
            return Err(refused("the selector is too long"));
        }
        let mut tokens = Tokens { rest: text };
        let mut tests = Vec::new();
        while !matches!(tokens.peek(), Token::End) {
            tests.push(requirement(&mut tokens)?);
            match tokens.next() {
                Token::End => break,
                Token::Comma if !matches!(tokens.peek(), Token::End) => {}
                Token::Comma => {
                    return Err(refused("found '', expected: identifier after ','"));
                }
                other => {
                    return Err(refused(&format!(
                        "found '{}', expected: ',' or 'end of string'",
                        other.text()
                    )));
                }
            }
        }
        Ok(LabelSelector { tests })
    }

    /// Whether everything is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether it takes an object.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.tests
            .iter()
            .all(|(key, test)| test.takes(labels[key.as_str()].as_str()))
    }

    /// Whether it takes an object of which this is known.
    #[must_use]
    pub fn matches_indexed(&self, indexed: &Indexed) -> bool {
        let label = |key: &String| indexed.labels.get(key).map(String::as_str);
        self.tests.iter().all(|(key, test)| test.takes(label(key)))
    }
}

impl Test {
    fn takes(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|l| l.parse::<i64>().ok());
        match self {
            Test::In(values) => label.is_some_and(|l| values.iter().any(|v| v == l)),
            Test::NotIn(values) => label.is_none_or(|l| values.iter().all(|v| v != l)),
            Test::Exists => label.is_some(),
            Test::Absent => label.is_none(),
            Test::Greater(than) => number().is_some_and(|n| n > *than),
            Test::Less(than) => number().is_some_and(|n| n < *than),
        }
    }
}

fn refused(why: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {why}"))
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'a> {
    End,
    Comma,
    Open,
    Close,
    /// `=`, `==`, `!=`, `>`, `<`, or `!` alone.
    Operator(&'a str),
    Word(&'a str),
}

impl Token<'_> {
    fn text(&self) -> &str {
        match self {
            Token::End => "",
            Token::Comma => ",",
            Token::Open => "(",
            Token::Close => ")",
            Token::Operator(text) | Token::Word(text) => text,
        }
    }
}

/// The words of a selector, one after the other.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Token<'a> {
        Tokens { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'a> {
        let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let fixed = ["==", "!=", "=", "!", ">", "<", ",", "(", ")"];
        let token = match fixed.iter().find(|f| rest.starts_with(**f)) {
            Some(&",") => Token::Comma,
            Some(&"(") => Token::Open,
            Some(&")") => Token::Close,
            Some(operator) => Token::Operator(&rest[..operator.len()]),
            None => {
                let is_end = |c: char| " \t\r\n=!<>,()".contains(c);
                match rest.find(is_end).unwrap_or(rest.len()) {
                    0 => Token::End,
                    end => Token::Word(&rest[..end]),
                }
            }
        };
        self.rest = &rest[token.text().len()..];
        token
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<(String, Test), ApiError> {
    let mut absent = false;
    if tokens.peek() == Token::Operator("!") {
        tokens.next();
        absent = true;
    }
    let key = match tokens.next() {
        Token::Word(key) => key.to_owned(),
        other => {
            return Err(refused(&format!(
                "found '{}', expected: identifier",
                other.text()
            )));
        }
    };
    if let Some(why) = qualified_name_errors(&key).into_iter().next() {
        return Err(refused(&format!("key: Invalid value: {key:?}: {why}")));
    }
    if matches!(tokens.peek(), Token::End | Token::Comma) {
        return Ok((key, if absent { Test::Absent } else { Test::Exists }));
    }
    if absent {
        let found = tokens.next();
        return Err(refused(&format!(
            "found '{}', expected: ',' or 'end of string'",
            found.text()
        )));
    }
    let test = match tokens.next() {
        Token::Operator("=" | "==") => Test::In(vec![value(tokens)?]),
        Token::Operator("!=") => Test::NotIn(vec![value(tokens)?]),
        Token::Operator(">") => Test::Greater(number(tokens)?),
        Token::Operator("<") => Test::Less(number(tokens)?),
        Token::Word("in") => Test::In(values(tokens)?),
        Token::Word("notin") => Test::NotIn(values(tokens)?),
        Token::Word("gt") => Test::Greater(number(tokens)?),
        Token::Word("lt") => Test::Less(number(tokens)?),
        other => {
            let expected = "expected: in, notin, =, ==, !=, gt, lt";
            return Err(refused(&format!("found '{}', {expected}", other.text())));
        }
    };
    let listed: &[String] = match &test {
        Test::In(values) | Test::NotIn(values) => values,
        _ => &[],
    };
    for value in listed {
        if let Some(why) = label_value_errors(value).into_iter().next() {
            return Err(refused(&format!(
                "values[0][{key}]: Invalid value: {value:?}: {why}"
            )));
        }
    }
    Ok((key, test))
}

/// One value; it may be empty.
fn value(tokens: &mut Tokens<'_>) -> Result<String, ApiError> {
    match tokens.peek() {
        Token::Word(word) => {
            tokens.next();
            Ok(word.to_owned())
        }
        Token::End | Token::Comma => Ok(String::new()),
        other => Err(refused(&format!(
            "found '{}', expected: identifier",
            other.text()
        ))),
    }
}

fn number(tokens: &mut Tokens<'_>) -> Result<i64, ApiError> {
    let text = value(tokens)?;
    let why = "for 'Gt', 'Lt' operators, the value must be an integer";
    text.parse().map_err(|_| refused(why))
}

/// Values in parentheses; one of them may be empty.
fn values(tokens: &mut Tokens<'_>) -> Result<Vec<String>, ApiError> {
    match tokens.next() {
        Token::Open => {}
        other => return Err(refused(&format!("found '{}' expected: '('", other.text()))),
    }
    let mut values = Vec::new();
    loop {
        match tokens.next() {
            Token::Word(word) => {
                values.push(word.to_owned());
                match tokens.next() {
                    Token::Comma => {}
                    Token::Close => return Ok(values),
                    other => {
                        let found = other.text();
                        return Err(refused(&format!("found '{found}', expected: ',' or ')'")));
                    }
                }
            }
            Token::Comma => values.push(String::new()),
            Token::Close => {
                values.push(String::new());
                return Ok(values);
            }
            other => {
                let found = other.text();
                let expected = "expected: ',', ')' or identifier";
                return Err(refused(&format!("found '{found}', {expected}")));
            }
        }
    }
}
