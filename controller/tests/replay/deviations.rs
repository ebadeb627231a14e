//! Where we answer otherwise than the recorded server, and why.

/// A known difference.
#[derive(Debug)]
pub(crate) struct Deviation {
    /// With what the exchange's name begins; empty: any.
    at: &'static str,
    /// With what the difference begins.
    difference: &'static str,
    /// Why it is so.
    #[expect(dead_code, reason = "it is printed")]
    why: &'static str,
}

impl Deviation {
    /// Whether a difference is this one.
    pub(crate) fn covers(&self, name: &str, difference: &str) -> bool {
        name.starts_with(self.at) && difference.starts_with(self.difference)
    }
}

const fn known(at: &'static str, difference: &'static str, why: &'static str) -> Deviation {
    Deviation {
        at,
        difference,
        why,
    }
}

/// All of them.
pub(crate) const DEVIATIONS: &[Deviation] = &[known(
    "kube-rs: patch apply",
    "status: 415",
    "no server-side apply",
)];
