//! Something that is wrong, and what to do next.

use std::collections::BTreeMap;

use serde::Serialize;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Weight {
    /// Somebody can't use what was asked for.
    Error,
    /// It may come to that, or is on its way.
    Warning,
}

/// Something that is wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) weight: Weight,
    /// The object's kind.
    pub(crate) kind: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// One word that a program can match.
    pub(crate) reason: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What a person does next.
    pub(crate) next: String,
}

/// What is wrong in the same way with several objects: a thousand volumes that wait for one node are one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Concerns {
    pub(crate) weight: Weight,
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
    /// All of them.
    pub(crate) names: Vec<String>,
    /// What is wrong with the first of them.
    pub(crate) message: String,
    /// What a person does next about the first of them.
    pub(crate) next: String,
}

/// Gathers what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Gathered(BTreeMap<(Weight, &'static str, String), Concerns>);

impl Gathered {
    pub(crate) fn add(&mut self, concern: Concern) {
        let Concern {
            weight,
            kind,
            name,
            reason,
            message,
            next,
        } = concern;
        let group = self.0.entry((weight, kind, reason.clone()));
        let group = group.or_insert_with(|| Concerns {
            weight,
            kind,
            reason,
            names: Vec::new(),
            message,
            next,
        });
        group.names.push(name);
    }

    /// The worst first.
    pub(crate) fn list(self) -> Vec<Concerns> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_of_many_is_one_line_and_the_worst_comes_first() {
        let concern = |weight, name: &str, reason: &str| Concern {
            weight,
            kind: "Volume",
            name: name.to_owned(),
            reason: reason.to_owned(),
            message: format!("about {name}"),
            next: "see".to_owned(),
        };
        let mut gathered = Gathered::default();
        gathered.add(concern(Weight::Warning, "w", "A"));
        gathered.add(concern(Weight::Error, "a", "Z"));
        gathered.add(concern(Weight::Error, "b", "Z"));
        let list = gathered.list();
        let short: Vec<_> = list
            .iter()
            .map(|one| (one.weight, one.names.join(" ")))
            .collect();
        assert_eq!(
            short,
            [
                (Weight::Error, "a b".to_owned()),
                (Weight::Warning, "w".to_owned())
            ]
        );
        assert_eq!(list[0].message, "about a");
    }
}
