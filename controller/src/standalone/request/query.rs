//! The query: a list of pairs, read as leniently as a real API server does.

use super::path::percent_decode;

/// More pairs than any client sends.
const MOST_PAIRS: usize = 64;

/// A query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query apart. Empty pairs are left out (kube-rs sends `?&limit=500`), and so are pairs
    /// that are not properly encoded; a parameter that nobody knows is never looked at.
    ///
    /// `None`: there are more pairs than any client sends.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        if pairs.clone().count() > MOST_PAIRS {
            return None;
        }
        let decode = |text: &str| {
            let bytes = percent_decode(&text.replace('+', " "))?;
            String::from_utf8(bytes).ok()
        };
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        };
        Some(Self(pairs.filter_map(pair).collect()))
    }

    /// The first value of a parameter; `None` if it is absent or empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let of_key = move |(name, value): &'a (String, String)| {
            let is_it = name == key;
            is_it.then_some(value.as_str())
        };
        self.0.iter().filter_map(of_key)
    }

    /// A flag: set unless it is absent or says `0` or `false`, as a real API server reads it.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        match self.all(key).next() {
            None => false,
            Some(value) => value != "0" && !value.eq_ignore_ascii_case("false"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_queries_are_read() {
        let rows: [(&str, &[(&str, &str)]); 8] = [
            ("", &[]),
            ("&", &[]),
            ("&limit=500", &[("limit", "500")]),
            ("&watch=true&&x", &[("watch", "true"), ("x", "")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a=x+y%2Bz", &[("a", "x y+z")]),
            ("a=%zz&b=1", &[("b", "1")]),
            ("=1", &[("", "1")]),
        ];
        for (text, expected) in rows {
            let Query(found) = Query::parse(text).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn flags_have_several_spellings() {
        let query = Query::parse("a=true&b=1&c=&d=0&e=False&x").unwrap();
        let found = ["a", "b", "c", "x", "d", "e", "f"].map(|key| query.flag(key));
        assert_eq!(found, [true, true, true, true, false, false, false]);
    }

    #[test]
    fn a_query_without_end_is_refused() {
        assert_eq!(Query::parse(&"a=b&".repeat(65)), None);
        assert!(Query::parse(&"a=b&".repeat(64)).is_some());
    }
}
