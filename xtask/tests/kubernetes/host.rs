//! What the agent's pods put onto their nodes: `deploy/install-host`, run on a root of its own, from a directory as kubelet makes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::manifests::{all, deploy, kustomization};

/// The config map as a directory, with the names and modes that the pod asks for.
fn mounted(into: &Path) {
    let agent = all()
        .into_iter()
        .find(|one| one.kind() == "DaemonSet" && one.name() == "weir-agent");
    let agent = agent.unwrap();
    let volumes = agent.pods().unwrap()["volumes"].as_array().unwrap().clone();
    let files = volumes.iter().find(|one| one["name"] == "host-files");
    let items = files.unwrap()["configMap"]["items"]
        .as_array()
        .unwrap()
        .clone();
    let made = kustomization();
    let sources = made["configMapGenerator"][1]["files"]
        .as_array()
        .unwrap()
        .clone();
    for item in items {
        let (key, path) = (
            item["key"].as_str().unwrap(),
            item["path"].as_str().unwrap(),
        );
        let source = sources.iter().filter_map(Value::as_str).find_map(|source| {
            let (name, file) = source.split_once('=').unwrap_or((source, source));
            (name == key).then_some(file)
        });
        let to = into.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(deploy().join(source.unwrap()), &to).unwrap();
        let mode = item["mode"].as_u64().unwrap_or(0o644);
        let mode = fs::Permissions::from_mode(u32::try_from(mode).unwrap());
        fs::set_permissions(&to, mode).unwrap();
    }
}

fn install(files: &Path, root: &Path) -> Output {
    let mut command = Command::new(files.join("install-host"));
    command.arg("--root").arg(root).output().unwrap()
}

/// Seen red with: `path: udev/57-weir.rules` in agent.yaml without its directory; `mode` left out.
#[test]
fn a_node_gets_what_deploy_has() {
    let (files, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    mounted(files.path());
    for _ in 0..2 {
        let output = install(files.path(), root.path());
        assert!(output.status.success(), "{output:?}");
    }
    let there = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
    let ours = |path: &str| fs::read_to_string(deploy().join(path)).unwrap();
    assert_eq!(
        there("etc/udev/rules.d/57-weir.rules"),
        ours("udev/57-weir.rules")
    );
    assert_eq!(there("etc/lvm/lvmlocal.conf"), ours("lvm/weir.conf"));
    assert_eq!(
        there("etc/multipath/conf.d/weir.conf"),
        ours("multipath/weir.conf")
    );
}

/// Then the pod waits, and its log says what to do.
#[test]
fn a_node_with_a_filter_of_its_own_is_told_what_to_do() {
    let (files, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    mounted(files.path());
    let lvm = root.path().join("etc/lvm");
    fs::create_dir_all(&lvm).unwrap();
    let own = "devices {\n global_filter = [ \"a|.*|\" ]\n}\n";
    fs::write(lvm.join("lvm.conf"), own).unwrap();
    let output = install(files.path(), root.path());
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("r|^/dev/weir/|"), "{said}");
    assert!(!lvm.join("lvmlocal.conf").exists());
}
