//! The program as a helper: one job, one answer.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn helper(job: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_weir-csi");
    Command::new(program)
        .args(["helper", job])
        .output()
        .unwrap()
}

fn answer(job: &Value) -> Value {
    let output = helper(&job.to_string());
    assert!(output.status.success(), "{job}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn device(path: &Path) -> Value {
    json!({"path": path, "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90"})
}

#[test]
fn paths_are_made_and_removed_twice_as_well_as_once() {
    let root = tempfile::tempdir().unwrap();
    let (directory, file) = (root.path().join("directory"), root.path().join("file"));
    for _ in 0..2 {
        assert_eq!(
            answer(&json!({"Do": {"MakeDirectory": directory}})),
            json!({"Ok": null})
        );
        assert_eq!(
            answer(&json!({"Do": {"MakeFile": file}})),
            json!({"Ok": null})
        );
    }
    fs::write(directory.join("x"), "").unwrap();
    assert!(answer(&json!({"Do": {"Remove": directory}}))["Err"].is_object());
    fs::remove_file(directory.join("x")).unwrap();
    for _ in 0..2 {
        for path in [&directory, &file] {
            assert_eq!(
                answer(&json!({"Do": {"Remove": path}})),
                json!({"Ok": null})
            );
            assert!(!path.exists());
        }
    }
}

/// Nothing is done to what is no volume's device: a plain file, as is left where a disk was, a directory, nothing, some other device.
///
/// Seen red with: `pin` without `owner` and without `is_block_device`: the file is formatted.
#[test]
fn only_a_volumes_device_is_touched() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("nvme0n1");
    fs::write(&file, vec![0; 64 << 20]).unwrap();
    let missing = root.path().join("missing");
    let uuid = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d91";
    for path in [
        file.as_path(),
        root.path(),
        &missing,
        Path::new("/dev/null"),
    ] {
        let device = device(path);
        for job in [
            json!({"Probe": device}),
            json!({"Do": {"Claim": device}}),
            json!({"Do": {"Check": device}}),
            json!({"Do": {"SetReadOnly": {"device": device, "is_read_only": true}}}),
            json!({"Do": {"Format": {"device": device, "fs_type": "Ext4", "uuid": uuid, "options": [], "is_begun": false}}}),
            json!({"Do": {"Mount": {"device": device, "path": root.path(), "fs_type": "Ext4", "flags": [], "is_read_only": false}}}),
            json!({"Do": {"BindDevice": {"device": device, "to": file}}}),
            json!({"Do": {"Grow": {"device": device, "fs_type": "Ext4", "path": root.path()}}}),
        ] {
            assert!(answer(&job)["Err"].is_object(), "{job}");
        }
    }
    assert!(!missing.exists());
    assert!(fs::read(&file).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_system_says_how_full_it_is() {
    let told = answer(&json!({"Usage": "/"}));
    assert!(told["Ok"]["bytes"].as_u64().unwrap() > 0, "{told}");
}

#[test]
fn what_is_no_job_ends_with_an_error_and_no_answer() {
    for job in ["", "{}", r#"{"Do":"Destroy"}"#] {
        let output = helper(job);
        assert_eq!(output.status.code(), Some(2), "{job}");
        assert!(output.stdout.is_empty());
    }
    // A controller is called nvmeN, and nothing else is written to.
    let bad = json!({"Do": {"Delete": {"controller": "../x", "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90"}}});
    assert!(answer(&bad)["Err"].is_object());
}
