//! Somebody with one version of kubectl, who goes through the story.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::case::{Case, words};
use crate::setup::kubectl::Kubectl;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a command that waits, and says nothing before, is left to begin. It only decides whether it finds the change
/// when it looks first or sees it come.
const HEAD_START: Duration = Duration::from_millis(700);

/// Who it is.
pub(crate) struct Person<'a> {
    kubectl: &'a Kubectl,
    /// For what the tested version cannot prepare.
    newest: &'a Kubectl,
    kubeconfig: PathBuf,
    /// What kubectl remembers between commands.
    home: TempDir,
    kept: BTreeMap<&'static str, String>,
}

/// A command that runs.
struct Running {
    child: Child,
    output: PathBuf,
}

impl<'a> Person<'a> {
    pub(crate) fn new(
        kubectl: &'a Kubectl,
        newest: &'a Kubectl,
        kubeconfig: &Path,
    ) -> Result<Self> {
        Ok(Person {
            kubectl,
            newest,
            kubeconfig: kubeconfig.to_owned(),
            home: tempfile::tempdir().context("making a home for kubectl")?,
            kept: BTreeMap::new(),
        })
    }

    /// Does one thing and looks at what comes of it.
    pub(crate) fn does(&mut self, case: &Case) -> Result<()> {
        let kubectl = match case.newest {
            true => self.newest,
            false => self.kubectl,
        };
        let mut running = self.start(kubectl, case.args, case.stdin, case.editor)?;
        if !case.meanwhile.is_empty() {
            let begun = Instant::now();
            // It says nothing until something happens.
            let is_silent = case.args.contains("--watch-only");
            while running.wrote()?.is_empty()
                && (case.endless && !is_silent || begun.elapsed() < HEAD_START)
            {
                if running.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                    break;
                }
                sleep(Duration::from_millis(20));
            }
            for args in &case.meanwhile {
                let mut other = self.start(self.newest, args, None, None)?;
                let code = other.end(PATIENCE)?;
                ensure!(code == Some(0), "`kubectl {args}`:\n{}", other.wrote()?);
            }
        }
        if case.endless {
            return watched(&mut running, case);
        }
        let code = running.end(PATIENCE)?;
        let wrote = running.wrote()?;
        ensure!(code == Some(case.code), "it ended with {code:?}:\n{wrote}");
        if let Some(complaint) = case.complaint(&wrote) {
            bail!("{complaint} in:\n{wrote}");
        }
        if let Some(name) = case.keep {
            self.kept.insert(name, wrote.trim().to_owned());
        }
        Ok(())
    }

    fn start(
        &self,
        kubectl: &Kubectl,
        args: &str,
        stdin: Option<&str>,
        editor: Option<&str>,
    ) -> Result<Running> {
        let output = tempfile::NamedTempFile::new_in(self.home.path())
            .context("making a file for the output")?;
        let (file, output) = output.keep().context("keeping the output")?;
        let mut command = Command::new(&kubectl.program);
        command
            .args(words(&self.filled(args)))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("LC_ALL", "C.UTF-8")
            .env("KUBE_EDITOR", editor.unwrap_or("false"))
            .stdin(if stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(file.try_clone().context("opening the output twice")?)
            .stderr(file);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", kubectl.program.display()))?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
            pipe.write_all(self.filled(text).as_bytes())
                .context("writing what kubectl reads")?;
        }
        Ok(Running { child, output })
    }

    /// The text with what was kept in its places.
    fn filled(&self, text: &str) -> String {
        let fill = |text: String, (name, value): (&&str, &String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        self.kept.iter().fold(text.to_owned(), fill)
    }
}

impl Running {
    /// What it wrote so far.
    fn wrote(&self) -> Result<String> {
        let bytes = fs::read(&self.output).context("reading what kubectl wrote")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits for its end.
    fn end(&mut self, patience: Duration) -> Result<Option<i32>> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if begun.elapsed() > patience {
                bail!("it goes on and on:\n{}", self.wrote()?);
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a command that goes on for ever has written what it must.
fn watched(running: &mut Running, case: &Case) -> Result<()> {
    let begun = Instant::now();
    loop {
        let wrote = running.wrote()?;
        match case.complaint(&wrote) {
            None => return Ok(()),
            Some(complaint)
                if begun.elapsed() > PATIENCE || running.child.try_wait()?.is_some() =>
            {
                bail!("{complaint} in:\n{wrote}")
            }
            Some(_) => sleep(Duration::from_millis(20)),
        }
    }
}
