//! Who and what was refused, by reason.

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It did not show that it is an agent.
    Identity,
    /// It wanted to report for another node than its own.
    OtherNode,
    /// It sent something that is not as the protocol says.
    Malformed,
    /// There are too many nodes.
    Nodes,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 4] = [
        Reason::Identity,
        Reason::OtherNode,
        Reason::Malformed,
        Reason::Nodes,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Reason::Identity => "identity",
            Reason::OtherNode => "other_node",
            Reason::Malformed => "malformed",
            Reason::Nodes => "nodes",
        }
    }
}

/// How often something was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals([u64; Reason::ALL.len()]);

impl Refusals {
    pub(super) fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// How often for this reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }
}
