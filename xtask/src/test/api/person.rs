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
/// Makes kubectl note each request once its answer has begun.
const NOTE_REQUESTS: &str = "-v=6";

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
        let is_silent = !case.meanwhile.is_empty() && !case.speaks_first();
        let args = match is_silent {
            true => format!("{} {NOTE_REQUESTS}", case.args),
            false => case.args.to_owned(),
        };
        let mut running = self.start(kubectl, &args, case.stdin, case.editor)?;
        if !case.meanwhile.is_empty() {
            running.waits_for_changes(is_silent)?;
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

    /// Waits until no change can escape it any more: it wrote what it listed, and watches from there; or, if it is
    /// silent, it noted that a watch was answered.
    fn waits_for_changes(&mut self, is_silent: bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let wrote = self.wrote()?;
            let waits = match is_silent {
                true => wrote.lines().any(is_watch_answered),
                false => !wrote.is_empty(),
            };
            if waits {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                bail!("it does not wait for changes:\n{wrote}");
            }
            sleep(Duration::from_millis(20));
        }
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

/// Whether kubectl notes here that a watch has begun. Both ways of saying so have the target before the code.
fn is_watch_answered(line: &str) -> bool {
    line.split_once("watch=true")
        .is_some_and(|(_, rest)| rest.contains("200 OK"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_watch_is_told_from_what_else_is_noted() {
        let old = "I1127 21:00:00.000000   1 round_trippers.go:445] GET https://x/volumes?watch=true 200 OK in 1 milliseconds";
        let new = "I1127 21:00:00.000000   1 helper.go:1] \"Response\" verb=\"GET\" url=\"https://x?watch=true\" status=\"200 OK\" milliseconds=1";
        assert!(is_watch_answered(old) && is_watch_answered(new));
        for other in [
            "GET https://x/volumes?limit=500 200 OK in 1 milliseconds",
            "GET https://x/volumes?watch=true 422 Unprocessable Entity in 1 milliseconds",
            "volume.weir.dev/vol-a",
        ] {
            assert!(!is_watch_answered(other), "{other}");
        }
    }
}
