//! What an agent shows the controller that leads: the client certificate of its kubeconfig, or a token.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;
use weir_telemetry::client::Credentials;

use super::error::JoinError;

/// Those of a kubeconfig. A token is shown instead of a certificate: the kubeconfig's own is for the API, and is never shown to anybody
/// else.
pub(super) fn of(config: &Config, token: Option<&Path>) -> Result<Credentials, JoinError> {
    let certificate = match token {
        Some(_) => None,
        None => pair(&config.auth_info)?,
    };
    let authority = config.root_cert.iter().flatten();
    let authority: String = authority.map(|der| pem(der)).collect();
    Ok(Credentials {
        authority: Some(authority).filter(|authority| !authority.is_empty()),
        certificate,
        token: token.map(Path::to_owned),
    })
}

/// The client certificate and its key, as PEM, if the kubeconfig has them.
fn pair(auth: &AuthInfo) -> Result<Option<(String, String)>, JoinError> {
    let certificate = (&auth.client_certificate_data, &auth.client_certificate);
    let certificate = text(certificate.0.as_deref(), certificate.1.as_deref())?;
    let key = auth.client_key_data.as_ref();
    let key = text(
        key.map(ExposeSecret::expose_secret),
        auth.client_key.as_deref(),
    )?;
    Ok(certificate.zip(key))
}

/// A text that is in the kubeconfig, as base64, or in a file.
fn text(data: Option<&str>, file: Option<&str>) -> Result<Option<String>, JoinError> {
    match (data, file) {
        (Some(data), _) => {
            let bytes = STANDARD.decode(data.trim()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.map(Some).ok_or(JoinError::Credentials)
        }
        (None, Some(file)) => {
            let read = std::fs::read_to_string(file);
            read.map(Some).map_err(|source| JoinError::File {
                path: PathBuf::from(file),
                source,
            })
        }
        (None, None) => Ok(None),
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_in_the_kubeconfig_or_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "KEY").unwrap();
        let mut auth = AuthInfo {
            client_certificate_data: Some(STANDARD.encode("CERTIFICATE")),
            client_key: Some(key.display().to_string()),
            ..AuthInfo::default()
        };
        let found = pair(&auth).unwrap().unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), ("CERTIFICATE", "KEY"));
        std::fs::remove_file(&key).unwrap();
        assert!(pair(&auth).is_err());
        auth.client_certificate_data = None;
        auth.client_key = None;
        assert_eq!(pair(&auth).unwrap(), None);
    }

    #[test]
    fn what_is_wrapped_is_the_same() {
        let der: Vec<u8> = (0..200).collect();
        let text = pem(&der);
        let inner: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(STANDARD.decode(inner).unwrap(), der);
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
