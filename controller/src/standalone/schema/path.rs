//! Where in an object: kept on the stack, written out only for errors.

use std::fmt;

/// A field's place, as a chain back to the root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// The object itself.
    Root,
    /// A property.
    Field(&'a Path<'a>, &'a str),
    /// A key of a map, which rules write `labels[key]`.
    Entry(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
    /// Any item of a list, in a schema.
    Items(&'a Path<'a>),
}

impl<'a> Path<'a> {
    /// A property below this.
    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    /// An item below this.
    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }

    /// Whether this is the object itself.
    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Path::Root)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Entry(parent, key) => write!(f, "{parent}[{key}]"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Items(parent) => write!(f, "{parent}[]"),
        }
    }
}
