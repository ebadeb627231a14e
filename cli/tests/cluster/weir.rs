//! The program, run once.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What a run came to.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `weir` with these words, in an environment that names no API.
pub(crate) fn weir<I: AsRef<OsStr>>(words: impl IntoIterator<Item = I>, home: &Path) -> Said {
    run(Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(words)
        .env("HOME", home))
}

/// The same with a kubeconfig in the environment.
pub(crate) fn weir_at(line: &str, kubeconfig: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    run(command.args(line.split(' ')).env("KUBECONFIG", kubeconfig))
}

fn run(command: &mut Command) -> Said {
    let given = command.get_envs().any(|(name, _)| name == "KUBECONFIG");
    if !given {
        command.env_remove("KUBECONFIG");
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap();
    let said = Said {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    };
    // For whoever reads why a test failed.
    eprintln!("{command:?}: {:?}\n{}{}", said.code, said.out, said.err);
    said
}

impl Said {
    /// The one object that a program gets.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}
