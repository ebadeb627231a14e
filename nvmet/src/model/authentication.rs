//! How a host proves who it is: DH-HMAC-CHAP (TP 8006; Linux 6.0 with NVME_TARGET_AUTH).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::words;

/// A host's keys. Without a key, its NQN is all that is asked for.
///
/// A changed key does not end connections that were made with the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// The host's key; [`Secret::NONE`] takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// The key by which the controller proves itself to the host; [`Secret::NONE`] takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller_key: Option<Secret>,
    /// Hash function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<DhHash>,
    /// Diffie-Hellman group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<DhGroup>,
}

/// A DH-HMAC-CHAP key, as in `DHHC-1:00:…:`.
///
/// It is written to configfs and to JSON, and never shown: not by `Debug`, not by an error, not by a
/// [`crate::Change`]. (In configfs everybody can read it: the kernel makes the file 0644.)
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands in the place of a key that is not shown.
const HIDDEN: &str = "(hidden)";

words! {
    /// Hash functions of DH-HMAC-CHAP.
    DhHash {
        /// SHA-256.
        Sha256 = "hmac(sha256)",
        /// SHA-384.
        Sha384 = "hmac(sha384)",
        /// SHA-512.
        Sha512 = "hmac(sha512)",
    }
}

words! {
    /// Diffie-Hellman groups of DH-HMAC-CHAP. A kernel without a group's algorithm answers EINVAL.
    DhGroup {
        /// None: the challenge alone.
        Null = "null",
        /// 2048 bits.
        Ffdhe2048 = "ffdhe2048",
        /// 3072 bits.
        Ffdhe3072 = "ffdhe3072",
        /// 4096 bits.
        Ffdhe4096 = "ffdhe4096",
        /// 6144 bits.
        Ffdhe6144 = "ffdhe6144",
        /// 8192 bits.
        Ffdhe8192 = "ffdhe8192",
    }
}

impl Authentication {
    /// Whether the host has to prove anything.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.key.as_ref().is_some_and(|key| !key.is_none())
    }

    pub(crate) fn hide(&mut self) {
        for key in [&mut self.key, &mut self.controller_key] {
            if let Some(key) = key.as_mut().filter(|key| !key.is_none()) {
                HIDDEN.clone_into(&mut key.0);
            }
        }
    }
}

impl Secret {
    /// No key.
    pub const NONE: Secret = Secret(String::new());

    /// A key as the kernel takes it; [`crate::check()`] says whether it does.
    pub fn new(key: impl Into<String>) -> Self {
        Secret(key.into())
    }

    /// Whether this is no key at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The key itself, for whoever has to hand it on.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is wrong with it, without a character of it (`nvmet_auth_set_key` in
    /// drivers/nvme/target/auth.c; TP 8006, 8.13.5.8).
    pub(crate) fn rule(&self) -> Option<&'static str> {
        if self.is_none() {
            return None;
        }
        if self.0 == HIDDEN {
            return Some("is hidden, which is no key: `nvmet export` has it");
        }
        let mut parts = self.0.split(':');
        let head = (parts.next(), parts.next());
        let key = parts.next().unwrap_or_default();
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        if !matches!(head, (Some("DHHC-1"), Some("00" | "01" | "02" | "03"))) {
            Some("does not begin with `DHHC-1:0x:`, x from 0 to 3")
        } else if key.is_empty() || !key.bytes().all(is_base64) {
            Some("has no base64 as its third part")
        } else if (parts.next(), parts.next()) != (Some(""), None) {
            Some("does not end with a colon after its third part")
        } else if self.0.len() > 255 {
            Some("is longer than a key can be")
        } else {
            None
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() { "none" } else { HIDDEN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";

    /// Seen red with: `derive(Debug)` on `Secret`.
    #[test]
    fn a_key_is_not_in_debug() {
        let authentication = Authentication {
            key: Some(Secret::new(KEY)),
            ..Authentication::default()
        };
        let text = format!("{authentication:?}");
        assert!(
            !text.contains("ia6z") && text.contains("(hidden)"),
            "{text}"
        );
    }

    #[test]
    fn a_hidden_key_is_no_key() {
        let mut authentication = Authentication {
            key: Some(Secret::new(KEY)),
            controller_key: Some(Secret::NONE),
            ..Authentication::default()
        };
        assert_eq!(Secret::new(KEY).rule(), None);
        authentication.hide();
        assert!(authentication.key.unwrap().rule().is_some());
        assert_eq!(authentication.controller_key, Some(Secret::NONE));
    }

    #[test]
    fn keys_the_kernel_would_misread_are_refused() {
        for bad in [
            "x",
            "DHHC-1:04:aa:",
            "DHHC-1:00::",
            "DHHC-1:00:a b:",
            "DHHC-1:00:aa",
            "DHHC-1:00:aa:b",
        ] {
            assert!(Secret::new(bad).rule().is_some(), "{bad}");
        }
    }
}
