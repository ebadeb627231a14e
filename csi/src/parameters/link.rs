//! How a node connects to a volume on another one.

use std::collections::BTreeMap;

use weir_api::crd::Locality;

use super::{Given, refused};
use crate::failure::Failure;

/// How a node connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Over how many of the pool's portals; none: all.
    pub portals: Option<u8>,
    /// After so many seconds without the target its I/O fails; none: never.
    ///
    /// Ten minutes if nothing is said, the kernel's own default: longer than a storage node takes to start again. The data is
    /// nowhere else, so that failing earlier gains nothing and costs a file system that has to be mounted anew; and never to
    /// fail would leave processes nobody can end waiting for a target that will not come back.
    pub loss_timeout: Option<u32>,
    /// It tries again after so many seconds.
    pub reconnect_delay: u32,
    /// I/O fails after so many seconds, while the connection is still tried; none: with `loss_timeout`.
    pub fast_io_fail: Option<u32>,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            portals: None,
            loss_timeout: Some(600),
            reconnect_delay: 2,
            fast_io_fail: None,
        }
    }
}

/// The parameters, in the order in which they are told.
const NAMES: [&str; 4] = ["portals", "ctrlLossTmo", "reconnectDelay", "fastIoFail"];

/// A number, or the one word that may stand in its place.
fn number(text: &str, least: u32, most: u32, word: Option<&str>) -> Result<Option<u32>, String> {
    if Some(text) == word {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(value) if (least..=most).contains(&value) && text == value.to_string() => {
            Ok(Some(value))
        }
        _ => Err(match word {
            Some(word) => format!("{least} to {most} or `{word}` is wanted"),
            None => format!("{least} to {most} is wanted"),
        }),
    }
}

impl Link {
    pub(super) fn take(given: &mut Given, locality: Locality) -> Result<Self, Failure> {
        if locality == Locality::MustLocal
            && let Some(name) = NAMES.iter().find(|name| given.has(name))
        {
            return Err(refused(name, "a MustLocal volume is never connected to"));
        }
        let default = Link::default();
        let portals = given.parse("portals", |text| number(text, 1, 8, Some("all")))?;
        let loss = given.parse("ctrlLossTmo", |text| number(text, 1, 86_400, Some("never")))?;
        let delay = given.parse("reconnectDelay", |text| number(text, 1, 300, None))?;
        let fail = given.parse("fastIoFail", |text| number(text, 1, 86_400, Some("never")))?;
        let link = Link {
            portals: portals.flatten().and_then(|count| u8::try_from(count).ok()),
            loss_timeout: loss.unwrap_or(default.loss_timeout),
            reconnect_delay: delay.flatten().unwrap_or(default.reconnect_delay),
            fast_io_fail: fail.unwrap_or(default.fast_io_fail),
        };
        if let Some(loss) = link.loss_timeout {
            if link.reconnect_delay > loss {
                let message = format!(
                    "{} s is longer than ctrlLossTmo, {loss} s: it would never be tried again",
                    link.reconnect_delay
                );
                return Err(refused("reconnectDelay", message));
            }
            if link.fast_io_fail.is_some_and(|fail| fail >= loss) {
                let message = format!(
                    "it has to be less than ctrlLossTmo, {loss} s, after which everything fails"
                );
                return Err(refused("fastIoFail", message));
            }
        }
        Ok(link)
    }

    pub(super) fn context(&self, locality: Locality) -> BTreeMap<String, String> {
        if locality == Locality::MustLocal {
            return BTreeMap::new();
        }
        let or =
            |value: Option<u32>, other: &str| value.map_or(other.to_owned(), |v| v.to_string());
        let values = [
            or(self.portals.map(u32::from), "all"),
            or(self.loss_timeout, "never"),
            self.reconnect_delay.to_string(),
            or(self.fast_io_fail, "never"),
        ];
        NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .zip(values)
            .collect()
    }
}
