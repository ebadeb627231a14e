//! Where the leader takes telemetry, and by which authority it is known: as its Lease says.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The annotation of the controllers' Lease that says where: `https://HOST:PORT`.
pub const ADDRESS: &str = "weir.dev/telemetry";

/// The annotation that holds the authority of the leader's certificate, as PEM. Without it, it is the API server's own.
pub const AUTHORITY: &str = "weir.dev/telemetry-authority";

/// The audience of the tokens that agents show leaders in a cluster. They are good for nothing else, and no other token is good for this.
pub const AUDIENCE: &str = "weir.dev/telemetry";

/// Where the leader takes telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address; of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The certificates, as PEM, of which one must have signed the leader's; `None`: those that the API server is known by.
    pub authority: Option<String>,
}

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not https://HOST:PORT")]
pub struct PlaceError(String);

impl Place {
    /// What a Lease's annotations say. `None`: nobody takes telemetry.
    ///
    /// # Errors
    /// There is an address, and it can't be read.
    pub fn of_annotations<'a>(
        annotation: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Self>, PlaceError> {
        let Some(address) = annotation(ADDRESS).filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        let place: Place = address.parse()?;
        Ok(Some(Place {
            authority: annotation(AUTHORITY).map(str::to_owned),
            ..place
        }))
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let malformed = || PlaceError(text.to_owned());
        let rest = text.strip_prefix("https://").ok_or_else(malformed)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(malformed)?;
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let is_name = |host: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(allowed)
        };
        let is_host = match inner {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        let port = port.parse().ok().filter(|port| *port != 0);
        match port {
            Some(port) if is_host => Ok(Place {
                host: inner.unwrap_or(host).to_owned(),
                port,
                authority: None,
            }),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "https://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "https://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "https://10.0.0.1:7443",
            "https://[fd00::1]:7443",
            "https://weir-controller.weir:1",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "10.0.0.1:7443",
            "http://10.0.0.1:7443",
            "https://10.0.0.1",
            "https://10.0.0.1:0",
            "https://10.0.0.1:70000",
            "https://:7443",
            "https://a b:7443",
            "https://u@h:7443",
            "https://h:7443/path",
            "https://[h]:7443",
            "https://fd00::1:7443",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_lease_says_where_and_by_whom() {
        let of = |address: Option<&'static str>, authority: Option<&'static str>| {
            Place::of_annotations(move |name| match name {
                ADDRESS => address,
                AUTHORITY => authority,
                _ => None,
            })
        };
        assert_eq!(of(None, Some("PEM")), Ok(None));
        assert_eq!(of(Some(""), None), Ok(None));
        let place = of(Some("https://h:1"), Some("PEM")).unwrap().unwrap();
        assert_eq!(place.authority.as_deref(), Some("PEM"));
        assert!(of(Some("h"), None).is_err());
    }
}
