//! Referrals: what a port's discovery tells of other discovery services.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Portal, Treq};

/// Another discovery service. Only a disabled one can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referral {
    /// Where it is; `None` for one that was made and has no usable address yet.
    pub portal: Option<Portal>,
    /// Port id that hosts are told.
    pub port_id: u16,
    /// Whether a host must use a secure channel there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treq: Option<Treq>,
    /// Whether hosts are told of it.
    pub enabled: bool,
}

/// A referral's name: that of its directory, a single path component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReferralName(String);

/// A text that can't name a referral.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a referral's name: 1 to 255 printable ASCII characters, no slash, not `.` or `..`"
)]
pub struct ReferralNameError(String);

impl ReferralName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReferralName {
    type Err = ReferralNameError;

    fn from_str(name: &str) -> Result<Self, ReferralNameError> {
        let is_good = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if name.is_empty()
            || name.len() > 255
            || [".", ".."].contains(&name)
            || !name.bytes().all(is_good)
        {
            return Err(ReferralNameError(name.to_owned()));
        }
        Ok(ReferralName(name.to_owned()))
    }
}

impl fmt::Display for ReferralName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ReferralName {
    type Error = ReferralNameError;
    fn try_from(name: String) -> Result<Self, ReferralNameError> {
        name.parse()
    }
}

impl From<ReferralName> for String {
    fn from(name: ReferralName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `..` taken out of the rule.
    #[test]
    fn names_that_could_leave_the_tree_are_refused() {
        let long = "x".repeat(256);
        for bad in ["", ".", "..", "a/b", "a b", "a\n", "ä", &long] {
            assert!(bad.parse::<ReferralName>().is_err(), "{bad:?}");
        }
        assert!("other-site.1".parse::<ReferralName>().is_ok());
    }
}
