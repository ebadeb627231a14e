//! `cargo xtask session`: docs/standalone.md, whose sessions are what really happened.

mod page;
mod plain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::command::read_file;
use crate::progress;
use crate::setup::kubectl::Kubectl;
use crate::test::server::Server;

/// The page.
const PAGE: &str = "docs/standalone.md";
/// How long anything in it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A part of the page.
enum Part {
    /// As it stands.
    Text(&'static str),
    /// Commands, one a line, and what they write. Those that fail are told with `fails`.
    Shell(&'static str),
    /// A command that goes on while others are run, which are shown before it, until it has written a line with a text.
    Meanwhile {
        command: &'static str,
        others: &'static str,
        until: &'static str,
    },
}

/// Writes the page.
pub(crate) fn write(root: &Path, controller: &Path, kubectl: &Kubectl) -> Result<()> {
    let page = record(root, controller, kubectl)?;
    let path = root.join(PAGE);
    fs::create_dir_all(root.join("docs")).context("making docs")?;
    fs::write(&path, page).with_context(|| format!("writing {PAGE}"))?;
    progress::say(format!("wrote {PAGE}"));
    Ok(())
}

/// Fails if the page is not what happens now.
pub(crate) fn check(root: &Path, controller: &Path, kubectl: &Kubectl) -> Result<()> {
    let (there, now) = (
        read_file(&root.join(PAGE))?,
        record(root, controller, kubectl)?,
    );
    let differs = there
        .lines()
        .zip(now.lines())
        .find(|(there, now)| there != now);
    if let Some((there, now)) = differs {
        bail!(
            "{PAGE} has `{there}` where now is `{now}`: run `cargo xtask session` and commit what it writes"
        );
    }
    ensure!(
        there == now,
        "{PAGE} has another end: run `cargo xtask session` and commit what it writes"
    );
    Ok(())
}

/// What happens, as a page.
fn record(root: &Path, controller: &Path, kubectl: &Kubectl) -> Result<String> {
    let server = Server::start(controller)?;
    let shell = Shell::new(root, &server, kubectl)?;
    let mut page = String::new();
    for part in page::PARTS {
        match part {
            Part::Text(text) => page.push_str(text),
            Part::Shell(commands) => {
                page.push_str("```\n");
                for command in commands.lines() {
                    page.push_str(&format!("$ {command}\n{}", shell.run(command)?));
                }
                page.push_str("```\n");
            }
            Part::Meanwhile {
                command,
                others,
                until,
            } => {
                let mut going_on = shell.start(command)?;
                going_on.wait_for("\n")?;
                page.push_str("```\n");
                for other in others.lines() {
                    page.push_str(&format!("$ {other}\n{}", shell.run(other)?));
                }
                going_on.wait_for(until)?;
                page.push_str(&format!(
                    "```\n\nThe other terminal:\n\n```\n$ {command}\n{}^C\n```\n",
                    going_on.wrote()?
                ));
            }
        }
    }
    Ok(plain::plain(&page))
}

/// Where commands are run: in the clone's directory, with kubectl at hand.
struct Shell<'a> {
    root: &'a Path,
    path: String,
    kubeconfig: PathBuf,
    home: TempDir,
}

impl<'a> Shell<'a> {
    fn new(root: &'a Path, server: &Server, kubectl: &Kubectl) -> Result<Self> {
        let programs = kubectl
            .program
            .parent()
            .context("kubectl has no directory")?;
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(Shell {
            root,
            path: format!("{}:{path}", programs.display()),
            kubeconfig: server.kubeconfig(),
            home: tempfile::tempdir().context("making a home for kubectl")?,
        })
    }

    /// What a command writes, whatever it ends with: a refusal is part of the story.
    fn run(&self, command: &str) -> Result<String> {
        let mut running = self.start(command)?;
        let begun = Instant::now();
        while running.child.try_wait()?.is_none() {
            ensure!(
                begun.elapsed() < PATIENCE,
                "`{command}` goes on and on:\n{}",
                running.wrote()?
            );
            sleep(Duration::from_millis(10));
        }
        running.wrote()
    }

    fn start(&self, command: &str) -> Result<Running> {
        let output = tempfile::NamedTempFile::new_in(self.home.path())
            .context("making a file for the output")?;
        let (file, output) = output.keep().context("keeping the output")?;
        let child = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(self.root)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(file)
            .spawn();
        Ok(Running {
            child: child.with_context(|| format!("starting `{command}`"))?,
            output,
        })
    }
}

/// A command that runs.
struct Running {
    child: Child,
    output: PathBuf,
}

impl Running {
    fn wrote(&self) -> Result<String> {
        let bytes = fs::read(&self.output).context("reading what was written")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn wait_for(&mut self, text: &str) -> Result<()> {
        let begun = Instant::now();
        while !self.wrote()?.contains(text) {
            ensure!(
                begun.elapsed() < PATIENCE,
                "no `{text}` in:\n{}",
                self.wrote()?
            );
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended by now. `sh` may have become the command itself or not; it is a process of ours either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
