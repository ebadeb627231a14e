//! NVMe Qualified Names (NVM Express Base Specification 2.0, section 4.5), fit to be a configfs
//! directory's name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A qualified name of a subsystem or a host: at most 223 bytes, and a single path component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nqn(String);

/// Why a text is no NQN that could be exported.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{nqn}` is not an NQN: {rule}")]
pub struct NqnError {
    nqn: String,
    rule: &'static str,
}

impl Nqn {
    /// The longest NQN in bytes (NVMF_NQN_SIZE in the kernel's include/linux/nvme.h, less its NUL).
    pub const LONGEST: usize = 223;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nqn {
    type Err = NqnError;

    fn from_str(nqn: &str) -> Result<Self, NqnError> {
        let rule = if nqn.len() > Self::LONGEST {
            "longer than 223 bytes"
        } else if !nqn.starts_with("nqn.") {
            "does not begin with `nqn.`"
        } else if !nqn
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        {
            // A slash would name a path, and control characters or blanks have no place in a name
            // that ends up in logs and option strings. A comma would end the option, see below.
            "has a character that is not printable ASCII, or a slash"
        } else if nqn.contains(',') {
            // /dev/nvme-fabrics takes a comma-separated list of options.
            "has a comma"
        } else {
            return Ok(Nqn(nqn.to_owned()));
        };
        Err(NqnError {
            nqn: nqn.to_owned(),
            rule,
        })
    }
}

impl fmt::Display for Nqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Nqn {
    type Error = NqnError;
    fn try_from(nqn: String) -> Result<Self, NqnError> {
        nqn.parse()
    }
}

impl From<Nqn> for String {
    fn from(nqn: Nqn) -> String {
        nqn.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_tree_are_refused() {
        let long = format!("nqn.{}", "x".repeat(220));
        for bad in [
            "",
            "..",
            "nqn./../x",
            "nqn.a b",
            "nqn.a\n",
            "nqn.a,b",
            "iqn.x",
            &long,
        ] {
            assert!(bad.parse::<Nqn>().is_err(), "{bad:?}");
        }
        assert!("nqn.2014-08.org.nvmexpress:uuid:1".parse::<Nqn>().is_ok());
    }
}
