//! Running host commands: an error shows the whole command line and what it wrote.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

/// A command line that is run to its end.
pub(crate) struct Cmd {
    argv: Vec<OsString>,
    command: Command,
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Cmd {
            argv: vec![program.to_owned()],
            command,
        }
    }

    /// Cargo, as if a person had called it: what `cargo run` told this program of itself would make crates stale that a person's
    /// calls built, those whose build scripts look at it.
    pub(crate) fn cargo() -> Self {
        let mut cargo = Cmd::new("cargo");
        let told = |key: &OsStr| {
            let key = key.to_string_lossy();
            [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
            ]
            .iter()
            .any(|prefix| key.starts_with(prefix))
        };
        for (key, _) in std::env::vars_os().filter(|(key, _)| told(key)) {
            cargo.command.env_remove(key);
        }
        cargo
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What it writes to standard error goes where ours goes, whatever is captured.
    pub(crate) fn aloud(mut self) -> Self {
        self.command.stderr(Stdio::inherit());
        self
    }

    /// Runs it with output captured; the standard output is the result.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self
            .command
            .output()
            .with_context(|| format!("starting {}", self.line()))?;
        self.check(&output)?;
        String::from_utf8(output.stdout).with_context(|| format!("output of {}", self.line()))
    }

    /// Runs it with output captured and thrown away unless it fails.
    pub(crate) fn run(self) -> Result<()> {
        self.read_lossy().map(drop)
    }

    /// Runs it with its output going where ours goes, but all of it to standard error: standard
    /// output belongs to the caller's result.
    pub(crate) fn show(mut self) -> Result<()> {
        self.command.stdout(std::io::stderr());
        let status = self
            .command
            .status()
            .with_context(|| format!("starting {}", self.line()))?;
        if status.success() {
            return Ok(());
        }
        bail!("{} ended with {status}", self.line())
    }

    /// Runs it while the last line it wrote to standard error shows beside a spinner.
    pub(crate) fn spin(mut self, progress: &Progress) -> Result<()> {
        self.command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("starting {}", self.line()))?;
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).lines() {
                let line = line.context("reading what the command says")?;
                progress.say(&line);
                said.push_str(&line);
                said.push('\n');
            }
        }
        let status = child.wait()?;
        if status.success() {
            return Ok(());
        }
        bail!(
            "{} ended with {status}:\n{}",
            self.line(),
            last_lines(&said, 25)
        )
    }

    fn read_lossy(mut self) -> Result<Vec<u8>> {
        let output = self
            .command
            .output()
            .with_context(|| format!("starting {}", self.line()))?;
        self.check(&output)?;
        Ok(output.stdout)
    }

    fn check(&self, output: &Output) -> Result<()> {
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = if said.trim().is_empty() {
            String::from_utf8_lossy(&output.stdout)
        } else {
            said
        };
        bail!(
            "{} ended with {}:\n{}",
            self.line(),
            output.status,
            last_lines(&said, 25)
        )
    }

    fn line(&self) -> String {
        let words: Vec<_> = self
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        format!("`{}`", words.join(" "))
    }
}

/// A program's path, looked up once in PATH and in the directories that hold system programs,
/// which an ordinary user's PATH leaves out.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Reads a small file; an error names it.
pub(crate) fn read_file(path: &Path) -> Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(text)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
