//! Who is asking, as its client certificate says.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use weir_api::names::NodeName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// What a user's name begins with, so that it is not taken for one of a cluster's.
const PREFIX: &str = "weir:";

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The person who runs this server: may do everything.
    Admin,
    /// Weir's controller.
    Controller,
    /// The agent of one node.
    Agent(NodeName),
    /// CSI's controller service.
    CsiController,
    /// CSI's node service of one node.
    CsiNode(NodeName),
    /// A certificate of ours with a name that means nothing here.
    Stranger(String),
    /// No certificate at all.
    Anonymous,
}

/// A text that is no identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not an identity: admin, controller, agent:NODE, csi-controller or csi-node:NODE is expected"
)]
pub struct ParseIdentityError(String);

/// A certificate that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the client certificate cannot be read")]
pub struct CertificateError;

/// What a client certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whose it is.
    pub identity: Identity,
    /// When it ends, in seconds since 1970: a connection may outlive it.
    pub expires: i64,
}

impl Identity {
    /// The user's name, as refusals and `kubectl auth whoami` show it.
    #[must_use]
    pub fn user(&self) -> String {
        match self {
            Self::Stranger(name) => name.clone(),
            Self::Anonymous => "system:anonymous".to_owned(),
            known => format!("{PREFIX}{known}"),
        }
    }

    /// The group that the certificate names beside the user.
    #[must_use]
    pub fn group(&self) -> &'static str {
        match self {
            Self::Admin => "weir:admins",
            Self::Controller => "weir:controllers",
            Self::Agent(_) => "weir:agents",
            Self::CsiController => "weir:csi-controllers",
            Self::CsiNode(_) => "weir:csi-nodes",
            Self::Stranger(_) => "weir:strangers",
            Self::Anonymous => "system:unauthenticated",
        }
    }

    /// Every group of the user.
    #[must_use]
    pub fn groups(&self) -> Vec<&'static str> {
        match self {
            Self::Anonymous => vec![self.group()],
            known => vec![known.group(), "system:authenticated"],
        }
    }

    /// Whether a certificate stands behind it.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        *self != Self::Anonymous
    }

    /// The identity of a certificate that is already known to be one of ours.
    #[must_use]
    fn of_subject(subject: &X509Name<'_>) -> Self {
        let text = |mut attributes: Box<dyn Iterator<Item = String> + '_>| match (
            attributes.next(),
            attributes.next(),
        ) {
            (Some(one), None) => Some(one),
            // Two names in one certificate: neither is believed.
            _ => None,
        };
        let name = text(Box::new(
            subject
                .iter_common_name()
                .filter_map(|name| name.as_str().ok())
                .map(str::to_owned),
        ));
        let group = text(Box::new(
            subject
                .iter_organization()
                .filter_map(|name| name.as_str().ok())
                .map(str::to_owned),
        ));
        let name = name.unwrap_or_default();
        let known = name.strip_prefix(PREFIX).and_then(|name| name.parse().ok());
        known
            .filter(|identity: &Self| group.as_deref() == Some(identity.group()))
            .unwrap_or(Self::Stranger(name))
    }
}

impl Credential {
    /// Reads a certificate; whether it is to be believed was decided before.
    ///
    /// # Errors
    /// It is not an X.509 certificate.
    pub fn of_certificate(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError)?;
        Ok(Self {
            identity: Identity::of_subject(certificate.subject()),
            expires: certificate.validity().not_after.timestamp(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Controller => f.write_str("controller"),
            Self::Agent(node) => write!(f, "agent:{node}"),
            Self::CsiController => f.write_str("csi-controller"),
            Self::CsiNode(node) => write!(f, "csi-node:{node}"),
            Self::Stranger(name) => write!(f, "stranger:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl FromStr for Identity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || ParseIdentityError(text.to_owned());
        let node = |name: &str| name.parse::<NodeName>().map_err(|_| malformed());
        match text.split_once(':') {
            None => match text {
                "admin" => Ok(Self::Admin),
                "controller" => Ok(Self::Controller),
                "csi-controller" => Ok(Self::CsiController),
                _ => Err(malformed()),
            },
            Some(("agent", name)) => Ok(Self::Agent(node(name)?)),
            Some(("csi-node", name)) => Ok(Self::CsiNode(node(name)?)),
            Some(_) => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        for text in [
            "admin",
            "controller",
            "agent:node-1.example.com",
            "csi-controller",
            "csi-node:n",
        ] {
            assert_eq!(text.parse::<Identity>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in [
            "",
            "Admin",
            "agent",
            "agent:",
            "agent:Node",
            "agent:a/b",
            "agent:a:b",
            "anonymous",
            "stranger:x",
            "admin:x",
            "csi-node:",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_certificate_is_refused() {
        assert!(Credential::of_certificate(b"no").is_err());
    }
}
