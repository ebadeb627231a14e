//! Errors say what is wrong and what to do; and what needs no API.

use super::cluster::Cluster;
use super::weir::{weir, weir_at};

#[test]
fn without_a_kubeconfig_it_says_where_it_looked() {
    let home = tempfile::tempdir().unwrap();
    let said = weir(["status"], home.path());
    assert_eq!(said.code, Some(1));
    let file = home.path().join(".kube/config");
    for place in [
        "--kubeconfig",
        "KUBECONFIG",
        file.to_str().unwrap(),
        "admin.kubeconfig",
    ] {
        assert!(said.err.contains(place), "{place}: {}", said.err);
    }
    let said = weir(["status", "--kubeconfig", "/nowhere/k"], home.path());
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("`/nowhere/k` (--kubeconfig)"),
        "{}",
        said.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_allowed_is_named() {
    let mut cluster = Cluster::start().await;
    cluster.pool("fast", "n1").await;
    let rows = [
        (
            "explain volume nobody",
            "there is no Volume `nobody`: `kubectl get volumes` lists",
        ),
        ("cordon pool nobody", "there is no StoragePool `nobody`"),
        (
            "drain node n9",
            "no StoragePool has spec.nodeName `n9`: pools are on n1",
        ),
        ("cordon pool A_B", "`A_B` is not a object name"),
        ("status --context nobody", "nobody"),
    ];
    for (line, part) in rows {
        let said = cluster.weir(line);
        assert_eq!(said.code, Some(1), "{line}");
        assert!(said.err.contains(part), "{line}: {}", said.err);
    }
    let server = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let server = server
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: "));
    let agent = cluster.kubeconfig_of("agent:n1", server.unwrap().trim_matches('"'));
    let said = weir_at("cordon pool fast", &agent);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .contains("not allowed to change StoragePool `fast`"),
        "{}",
        said.err
    );
    cluster.kill();
    let said = cluster.weir("status");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("is not reached"), "{}", said.err);
    assert!(said.err.contains("(KUBECONFIG)"), "{}", said.err);
}

#[test]
fn completion_and_manual_pages_are_made() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let said = weir(["completion", shell], home.path());
        assert_eq!(said.code, Some(0));
        assert!(said.out.contains("uncordon"), "{shell}");
    }
    let page = weir(["man"], home.path());
    assert!(
        page.out.contains(".TH") && page.out.contains("explain"),
        "{}",
        page.out
    );
    let pages = home.path().to_str().unwrap();
    assert_eq!(weir(["man", pages], home.path()).code, Some(0));
    for page in [
        "weir.1",
        "weir-status.1",
        "weir-drain.1",
        "weir-explain-volume.1",
        "weir-orphans-ls.1",
    ] {
        assert!(home.path().join(page).exists(), "{page}");
    }
    let missing = weir(["man", "/nowhere"], home.path());
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("`/nowhere`"), "{}", missing.err);
}
