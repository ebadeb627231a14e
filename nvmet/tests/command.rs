//! The `nvmet` command on directories that look like a kernel's.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn nvmet(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nvmet"))
        .arg("--root")
        .arg(directory.join("nvmet"))
        .arg("--sysfs")
        .arg(directory.join("sys"))
        .arg("--dev")
        .arg(directory.join("dev"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(directory: &Path, path: &str, value: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, format!("{value}\n")).expect("a file");
}

#[test]
fn a_target_is_shown_for_people_and_for_programs() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "nvmet/subsystems/nqn.s/attr_allow_any_host",
        "1",
    );
    write(
        directory.path(),
        "nvmet/subsystems/nqn.s/attr_serial",
        "1234",
    );
    let text = stdout(&nvmet(directory.path(), &["ls"]));
    assert_eq!(
        text,
        "subsystem nqn.s\n    serial 1234\n    any host, without authentication\n    on no port\n"
    );
    let json = stdout(&nvmet(directory.path(), &["ls", "-o", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["subsystems"]["nqn.s"]["serial"], "1234");
}

#[test]
fn a_machine_without_the_modules_gets_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let said = stderr(&nvmet(directory.path(), &["ls"]));
    assert!(said.contains("is the module nvmet loaded"), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");
    let connect = ["connect", "-a", "10.0.0.1", "-n", "nqn.s", "-q", "nqn.h"];
    let said = stderr(&nvmet(directory.path(), &connect));
    assert!(
        said.contains("are the modules nvme-fabrics and nvme-tcp loaded"),
        "{said}"
    );
}

#[test]
fn controllers_are_listed_and_disconnected() {
    let directory = tempfile::tempdir().unwrap();
    let said = stdout(&nvmet(directory.path(), &["list"]));
    assert_eq!(said, "there are no controllers\n");
    for (attribute, value) in [
        ("subsysnqn", "nqn.s"),
        ("state", "live"),
        ("hostnqn", "nqn.h"),
        ("transport", "tcp"),
        ("address", "traddr=10.0.0.1,trsvcid=4420"),
        ("delete_controller", ""),
    ] {
        write(
            directory.path(),
            &format!("sys/class/nvme/nvme0/{attribute}"),
            value,
        );
    }
    let said = stdout(&nvmet(directory.path(), &["list"]));
    assert_eq!(
        said,
        "nvme0  nqn.s  tcp traddr=10.0.0.1,trsvcid=4420  live\n    as nqn.h\n"
    );
    let connect = [
        "-o", "json", "connect", "-a", "10.0.0.1", "-n", "nqn.s", "-q", "nqn.h",
    ];
    let json = stdout(&nvmet(directory.path(), &connect));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["outcome"], "unchanged");
    assert_eq!(json["controller"], "nvme0");
    assert_eq!(json["devices"], serde_json::json!([]));
    let said = stdout(&nvmet(directory.path(), &["disconnect", "nqn.s"]));
    assert_eq!(said, "nqn.s disconnected\n");
    let said = stdout(&nvmet(directory.path(), &["disconnect", "nqn.t"]));
    assert_eq!(said, "nqn.t was not connected\n");
}

#[test]
fn help_has_examples_and_bad_names_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(stdout(&nvmet(directory.path(), &["--help"])).contains("Examples:"));
    let said = stderr(&nvmet(directory.path(), &["disconnect", "../x"]));
    assert!(said.contains("does not begin with `nqn.`"), "{said}");
}
