//! Where an object stands: its key, a part of all keys, and a revision.

use std::fmt;

/// The name of one object in the store. Keys sort by storage, then namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind's name in the store, e.g. `weir.dev/volumes`.
    pub storage: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.storage, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.storage, self.name),
        }
    }
}

/// One state of the whole store: every change has the next number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Of a store that nothing was written to. Not 0, which to Kubernetes means "any".
    pub const FIRST: Self = Self(1);

    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a list or a watch looks at: one kind, everywhere or in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The kind's name in the store.
    pub storage: String,
    /// `None` for every namespace, and for cluster-scoped kinds.
    pub namespace: Option<String>,
}

impl Scope {
    /// Whether an object of this key is in it.
    pub fn holds(&self, key: &Key) -> bool {
        self.storage == key.storage
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
    }

    /// The least key behind it. No text sorts between another and the same with a NUL behind it.
    pub(super) fn end(&self) -> Key {
        let (storage, namespace) = match &self.namespace {
            None => (format!("{}\0", self.storage), String::new()),
            Some(namespace) => (self.storage.clone(), format!("{namespace}\0")),
        };
        Key {
            storage,
            namespace,
            name: String::new(),
        }
    }

    /// The least key that can be in it.
    pub(super) fn start(&self) -> Key {
        Key {
            storage: self.storage.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: String::new(),
        }
    }
}
