//! What volumes take of a pool.

use weir_api::units::Bytes;

/// What one volume takes of a pool, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many volumes.
    pub volumes: u32,
    /// How many of them other nodes may use.
    pub remote: u32,
    /// Space that is taken at creation.
    pub thick: Bytes,
    /// Space that was promised and is taken as it is written.
    pub thin: Bytes,
    /// The part of `thick` that the agent's word does not show yet.
    pub unshown: Bytes,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Usage) -> Usage {
        let sum = |a: Bytes, b: Bytes| Bytes(a.0.saturating_add(b.0));
        Usage {
            volumes: self.volumes.saturating_add(other.volumes),
            remote: self.remote.saturating_add(other.remote),
            thick: sum(self.thick, other.thick),
            thin: sum(self.thin, other.thin),
            unshown: sum(self.unshown, other.unshown),
        }
    }

    /// What is left without the other, which must be a part of this.
    #[must_use]
    pub fn minus(&self, other: &Usage) -> Usage {
        let rest = |a: Bytes, b: Bytes| Bytes(a.0.saturating_sub(b.0));
        Usage {
            volumes: self.volumes.saturating_sub(other.volumes),
            remote: self.remote.saturating_sub(other.remote),
            thick: rest(self.thick, other.thick),
            thin: rest(self.thin, other.thin),
            unshown: rest(self.unshown, other.unshown),
        }
    }
}
