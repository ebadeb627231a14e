//! The agent as a process that is started and ended.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::wishes::Wishes;

/// The name of the node under test.
pub(crate) const NODE: &str = "crash-node";

/// How long the agent may take for what is asked, in an emulated guest on a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often a look is taken at what the agent says. It costs microseconds.
const POLL: Duration = Duration::from_millis(20);

/// An agent and its directories.
pub(crate) struct Agent {
    pub(crate) requests: PathBuf,
    pub(crate) record: PathBuf,
    /// Where its fail points are noted, if they are armed.
    pub(crate) fail_points: Option<PathBuf>,
    /// Which part of them, as the agent reads it.
    pub(crate) part: String,
    status: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

/// How waiting for an agent ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// All is as asked.
    Converged,
    /// It was ended by SIGKILL.
    Ended,
    /// The time was over.
    Late,
}

impl Agent {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let agent = Agent {
            requests: dir.join("requests"),
            record: dir.join("record"),
            fail_points: None,
            part: String::new(),
            status: dir.join("status"),
            log: dir.join("agent.log"),
            child: None,
        };
        for dir in [&agent.requests, &agent.record, &agent.status] {
            fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        Ok(agent)
    }

    /// Starts it. What an earlier one said is forgotten.
    pub(crate) fn start(&mut self) -> Result<()> {
        for entry in fs::read_dir(&self.status)?.flatten() {
            fs::remove_file(entry.path())?;
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new("weir-agent");
        command
            .args(["run", "--node", NODE, "--listen", "127.0.0.1:9807"])
            .args(["--max-volumes", "64", "--resync", "5", "--requests"])
            .arg(&self.requests)
            .arg("--record")
            .arg(&self.record)
            .arg("--status")
            .arg(&self.status)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(file) = &self.fail_points {
            command.env("WEIR_FAIL_POINTS", file);
            command.env("WEIR_FAIL_POINTS_PART", &self.part);
        }
        self.child = Some(command.spawn().context("starting weir-agent")?);
        Ok(())
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        child.kill().context("killing the agent")?;
        let ended = child.wait()?;
        self.only_killed(ended)
    }

    /// Waits until all is as asked, it ended, or the time is over.
    pub(crate) fn wait(&mut self, wishes: &Wishes, limit: Duration) -> Result<Waited> {
        let deadline = Instant::now() + limit;
        loop {
            let child = self.child.as_mut().context("no agent is running")?;
            if let Some(ended) = child.try_wait()? {
                self.child = None;
                self.only_killed(ended)?;
                return Ok(Waited::Ended);
            }
            if wishes.unfulfilled(&self.says()).is_none() {
                return Ok(Waited::Converged);
            }
            std::thread::sleep(POLL);
            if Instant::now() > deadline {
                return Ok(Waited::Late);
            }
        }
    }

    /// Waits until all is as asked or it ended; an error if neither comes about.
    pub(crate) fn wait_long(&mut self, wishes: &Wishes) -> Result<Waited> {
        let waited = self.wait(wishes, PATIENCE)?;
        if waited == Waited::Late {
            let missing = wishes.unfulfilled(&self.says()).unwrap_or_default();
            bail!("never came about: {missing}; {}", self.last_words());
        }
        Ok(waited)
    }

    /// What it published of a volume, as text; nothing if it did not yet.
    pub(crate) fn says_of(&self, volume: &str) -> String {
        let object = self.says().remove(&format!("volume-{volume}.json"));
        object.map_or(String::new(), |object| object.to_string())
    }

    /// What it published, by file name.
    fn says(&self) -> std::collections::BTreeMap<String, Value> {
        let entries = fs::read_dir(&self.status).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let text = fs::read(entry.path()).ok()?;
                let object = serde_json::from_slice(&text).ok()?;
                (!name.starts_with('.')).then_some((name, object))
            })
            .collect()
    }

    /// A status of the agent's own making is an error of the agent's, whenever it comes.
    fn only_killed(&self, ended: ExitStatus) -> Result<()> {
        if ended.signal() == Some(9) {
            return Ok(());
        }
        bail!(
            "the agent ended by itself, with {ended}; {}",
            self.last_words()
        )
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(30)..].join("\n");
        format!("the agent's log ends with:\n{last}")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
