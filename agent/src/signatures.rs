//! Signatures on a disk: file systems, partition tables, RAID and LVM labels, as wipefs(8) of
//! util-linux finds them. It lists what it would erase, so nothing is erased that was not listed.

use std::time::Duration;

use serde::Deserialize;

use crate::cmd::{Cmd, CmdError, Program, Runner};

/// The names of a device's signatures.
///
/// # Errors
/// See [`CmdError`]; what is on the device is unknown then.
pub fn list(runner: &dyn Runner, device: &str) -> Result<Vec<String>, CmdError> {
    #[derive(Deserialize)]
    struct Report {
        signatures: Vec<Signature>,
    }
    #[derive(Deserialize)]
    struct Signature {
        #[serde(rename = "type")]
        kind: String,
    }
    let cmd = wipefs(&["--no-act", "--json", device]);
    let text = runner.run(&cmd)?;
    // Older versions print nothing at all where there is nothing.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let report: Report = serde_json::from_str(&text).map_err(|error| CmdError::Output {
        cmd: cmd.to_string(),
        reason: error.to_string(),
    })?;
    Ok(report
        .signatures
        .into_iter()
        .map(|signature| signature.kind)
        .collect())
}

/// Erases every signature of a device.
///
/// # Errors
/// See [`CmdError`].
pub fn erase(runner: &dyn Runner, device: &str) -> Result<(), CmdError> {
    let cmd = wipefs(&["--all", device]);
    tracing::warn!(%cmd, "run");
    runner.run(&cmd).map(|_| ())
}

fn wipefs(args: &[&str]) -> Cmd {
    Cmd {
        program: Program::Wipefs,
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        deadline: Duration::from_secs(60),
        lock: args
            .last()
            .map(|&device| device.to_owned())
            .unwrap_or_default(),
    }
}
