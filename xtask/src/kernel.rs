//! The kernels that Weir is proven on.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, bail};

/// A Debian cloud kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Debian 12's.
    V6_1,
    /// Debian 13's.
    V6_12,
    /// Debian 13 backports'.
    V7_3,
}

impl Kernel {
    /// Every one of them.
    pub(crate) const ALL: [Kernel; 3] = [Kernel::V6_1, Kernel::V6_12, Kernel::V7_3];
    /// The one that CI runs.
    pub(crate) const DEFAULT: Kernel = Kernel::V6_12;

    /// The Debian suite it comes from.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Kernel::V6_1 => "bookworm",
            Kernel::V6_12 => "trixie",
            Kernel::V7_3 => "trixie-backports",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kernel::V6_1 => "6.1",
            Kernel::V6_12 => "6.12",
            Kernel::V7_3 => "7.3",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `--kernel` takes: one of them, or `all`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernels {
    One(Kernel),
    All,
}

impl Kernels {
    pub(crate) fn list(self) -> Vec<Kernel> {
        match self {
            Kernels::One(kernel) => vec![kernel],
            Kernels::All => Kernel::ALL.to_vec(),
        }
    }
}

impl FromStr for Kernel {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        match Kernel::ALL.into_iter().find(|kernel| kernel.name() == name) {
            Some(kernel) => Ok(kernel),
            None => bail!("`{name}` is none of 6.1, 6.12, 7.3"),
        }
    }
}

impl FromStr for Kernels {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "all" => Ok(Kernels::All),
            one => one.parse().map(Kernels::One),
        }
    }
}
