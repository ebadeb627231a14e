//! An authority on a temporary directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn chain(kubeconfig: &str) -> Vec<CertificateDer<'static>> {
    let contents = kubeconfig::read(kubeconfig).unwrap();
    let certificate = CertificateDer::from_pem_slice(contents.certificate.as_bytes());
    vec![certificate.unwrap().into_owned()]
}

#[test]
fn a_kubeconfigs_certificate_says_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), now()).unwrap();
    let tls = authority.tls(&names(&["127.0.0.1"]), now()).unwrap();
    for text in [
        "admin",
        "controller",
        "agent:n1",
        "csi-controller",
        "csi-node:n1",
    ] {
        let identity: Identity = text.parse().unwrap();
        let kubeconfig = authority
            .kubeconfig(&identity, "https://x", 1, now())
            .unwrap();
        let found = tls.credential(&chain(&kubeconfig)).unwrap();
        assert_eq!(found.identity, identity);
    }
}

#[test]
fn certificates_of_others_are_not_ours() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [ours, theirs] = dirs
        .each_ref()
        .map(|dir| Authority::open(dir.path(), now()).unwrap());
    let tls = ours.tls(&names(&["localhost"]), now()).unwrap();
    let admin = |authority: &Authority, days, at| {
        let kubeconfig = authority.kubeconfig(&Identity::Admin, "https://x", days, at);
        chain(&kubeconfig.unwrap())
    };
    assert!(tls.credential(&admin(&ours, 1, now())).is_some());
    assert!(tls.credential(&admin(&theirs, 1, now())).is_none());
    let long_ago = now() - Duration::from_secs(5 * 24 * 60 * 60);
    assert!(tls.credential(&admin(&ours, 1, long_ago)).is_none());
    // The server's own certificate is for a server, and the authority's for none.
    for file in ["server.crt", "ca.crt"] {
        let pem = fs::read(dirs[0].path().join("pki").join(file)).unwrap();
        let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
        assert!(
            tls.credential(&[certificate.into_owned()]).is_none(),
            "{file}"
        );
    }
    assert!(tls.credential(&[]).is_none());
}

#[test]
fn the_authority_stays_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let first = Authority::open(dir.path(), now()).unwrap();
    let again = Authority::open(dir.path(), now()).unwrap();
    assert_eq!(first.certificate(), again.certificate());
    let mode = |path: &str| {
        let metadata = fs::metadata(dir.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode("pki"), mode("pki/ca.key")), (0o700, 0o600));
}

#[test]
fn half_an_authority_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(Authority::open(dir.path(), now()).unwrap());
    fs::remove_file(dir.path().join("pki/ca.key")).unwrap();
    let error = Authority::open(dir.path(), now());
    assert!(matches!(error, Err(AuthorityError::Half { .. })));
}

#[test]
fn the_servers_certificate_is_renewed_when_it_has_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), now()).unwrap();
    let certificate = |names: &BTreeSet<String>, at| {
        drop(authority.tls(names, at).unwrap());
        fs::read_to_string(dir.path().join("pki/server.crt")).unwrap()
    };
    let (one, two) = (
        names(&["127.0.0.1", "a.example"]),
        names(&["127.0.0.1", "::1"]),
    );
    let first = certificate(&one, now());
    assert_eq!(certificate(&one, now()), first);
    let other = certificate(&two, now());
    assert_ne!(other, first);
    let later = now() + Duration::from_secs(340 * 24 * 60 * 60);
    assert_ne!(certificate(&two, later), other);
}

#[test]
fn kubeconfigs_in_the_directory_are_kept_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), now()).unwrap();
    let keep = |server: &str, at| {
        let (path, is_new) = authority.keep_kubeconfigs(server, at).unwrap();
        (fs::read_to_string(path).unwrap(), is_new)
    };
    let (first, is_new) = keep("https://a", now());
    assert!(is_new && dir.path().join("controller.kubeconfig").exists());
    assert_eq!(keep("https://a", now()), (first.clone(), false));
    let (moved, is_new) = keep("https://b", now());
    assert!(moved != first && !is_new);
    let later = now() + Duration::from_secs(340 * 24 * 60 * 60);
    assert_ne!(keep("https://b", later).0, moved);
}

#[test]
fn an_authority_at_its_end_says_so() {
    let dir = tempfile::tempdir().unwrap();
    drop(Authority::open(dir.path(), now()).unwrap());
    let later = now() + Duration::from_secs(3_640 * 24 * 60 * 60);
    let error = Authority::open(dir.path(), later);
    assert!(matches!(error, Err(AuthorityError::Ended(_))));
}
