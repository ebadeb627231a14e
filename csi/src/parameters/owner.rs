//! Whose a volume is, as the provisioner says it (`--extra-create-metadata`).

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use weir_api::names::{CLAIM, NAMESPACE, PERSISTENT_VOLUME};

use super::Given;
use crate::failure::Failure;

/// Whose a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The claim's name.
    pub claim: Option<String>,
    /// The claim's namespace.
    pub namespace: Option<String>,
    /// The PersistentVolume's name.
    pub volume: Option<String>,
}

/// What a label's value can have.
const LONGEST: usize = 63;
/// What of a name that is too long stays in front of its hash.
const PREFIX: usize = 46;

impl Owner {
    pub(super) fn take(given: &mut Given) -> Result<Self, Failure> {
        let name = |text: &str| match text.parse::<weir_api::names::NodeName>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err("no object can have that name"),
        };
        Ok(Owner {
            claim: given.parse("csi.storage.k8s.io/pvc/name", name)?,
            namespace: given.parse("csi.storage.k8s.io/pvc/namespace", name)?,
            volume: given.parse("csi.storage.k8s.io/pv/name", name)?,
        })
    }

    fn names(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let names = [
            (CLAIM, &self.claim),
            (NAMESPACE, &self.namespace),
            (PERSISTENT_VOLUME, &self.volume),
        ];
        names
            .into_iter()
            .filter_map(|(key, name)| Some((key, name.as_ref()?)))
    }

    /// Labels, to select by. Names may be longer than a label's value: those end in a hash.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.names()
            .map(|(key, name)| (key.to_owned(), label(name)))
            .collect()
    }

    /// The names in full.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.names()
            .map(|(key, name)| (key.to_owned(), name.clone()))
            .collect()
    }
}

fn label(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let hash = Sha256::digest(name.as_bytes());
    let hex: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Names of objects are ASCII.
    format!("{}-{hex}", name.get(..PREFIX).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels_and_stay_whole_in_annotations() {
        let long = ["a".repeat(60), "b".repeat(60)].join(".");
        let owner = Owner {
            claim: Some(long.clone()),
            namespace: Some("shop".to_owned()),
            volume: None,
        };
        let (labels, annotations) = (owner.labels(), owner.annotations());
        assert_eq!(annotations[CLAIM], long);
        assert_eq!(labels[NAMESPACE], "shop");
        assert_eq!(labels[CLAIM].len(), 63);
        assert_ne!(label(&long), label(&format!("{long}x")));
        assert!(!labels.contains_key(PERSISTENT_VOLUME));
    }
}
