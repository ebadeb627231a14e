//! Certificates, as they are made and as they are looked at again.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::standalone::identity::Identity;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the authority is valid.
const AUTHORITY: Duration = Duration::from_secs(3_653 * 24 * 60 * 60);

/// How long a server's certificate is valid.
const SERVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A certificate is made anew when less than this is left of it.
const NEAR_END: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Clocks differ: what is made now is valid on a host whose clock is an hour behind.
const SKEW: Duration = Duration::from_secs(60 * 60);

/// A certificate and its key, both as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The authority's own certificate and key.
pub(super) fn authority(now: jiff::Timestamp) -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = params(now, AUTHORITY)?;
    // The name says which authority it is where a host trusts several of them.
    let id = uuid::Uuid::new_v4().simple().to_string();
    params.distinguished_name = name(&format!("weir-authority-{}", &id[..8]), "weir");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(Pair {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// A certificate for a server that is reached under these names.
pub(super) fn server(
    authority: &Pair,
    names: &BTreeSet<String>,
    now: jiff::Timestamp,
) -> Result<Pair, rcgen::Error> {
    let mut params = params(now, SERVER)?;
    params.distinguished_name = name("weir-controller", "weir");
    params.subject_alt_names = names
        .iter()
        .map(|name| {
            Ok(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            })
        })
        .collect::<Result<_, rcgen::Error>>()?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    signed(&params, authority)
}

/// A certificate for a client.
pub(super) fn client(
    authority: &Pair,
    identity: &Identity,
    valid: Duration,
    now: jiff::Timestamp,
) -> Result<Pair, rcgen::Error> {
    let mut params = params(now, valid)?;
    params.distinguished_name = name(&identity.user(), identity.group());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    signed(&params, authority)
}

fn signed(params: &CertificateParams, authority: &Pair) -> Result<Pair, rcgen::Error> {
    let issuer =
        Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    Ok(Pair {
        certificate: params.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem(),
    })
}

fn params(now: jiff::Timestamp, valid: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    let now = std::time::SystemTime::from(now);
    params.not_before = (now - SKEW).into();
    params.not_after = (now + valid).into();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn name(common: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common);
    name
}

/// Whether a certificate can't be used much longer, or can't be read.
pub(super) fn is_near_end(pem: &str, now: jiff::Timestamp) -> bool {
    let soon = (now + NEAR_END).as_second();
    look(pem, |certificate| {
        certificate.validity().not_after.timestamp() < soon
    })
    .unwrap_or(true)
}

/// Whether a server's certificate is good for exactly these names.
pub(super) fn has_names(pem: &str, names: &BTreeSet<String>) -> bool {
    look(pem, |certificate| {
        let Ok(Some(extension)) = certificate.subject_alternative_name() else {
            return false;
        };
        let found = extension.value.general_names.iter().map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
                Ok(v4) => Some(IpAddr::from(v4).to_string()),
                Err(_) => <[u8; 16]>::try_from(*bytes)
                    .ok()
                    .map(|v6| IpAddr::from(v6).to_string()),
            },
            _ => None,
        });
        found.collect::<Option<BTreeSet<_>>>().as_ref() == Some(names)
    })
    .unwrap_or(false)
}

/// Whether an authority made a certificate, as far as their names say.
pub(super) fn is_issued_by(pem: &str, authority: &str) -> bool {
    let subject = look(authority, |authority| authority.subject().as_raw().to_vec());
    look(pem, |certificate| certificate.issuer().as_raw().to_vec()) == subject
}

fn look<T>(pem: &str, at: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(at(&certificate))
}

/// Days as a duration.
pub(super) fn days(days: u32) -> Duration {
    DAY * days
}
