//! Host commands: known programs at paths resolved once, a cleared environment, a deadline.
//!
//! A command past its deadline is not killed: half of an LVM metadata change is worse than a slow
//! one. Its outcome is unknown until somebody looks again, and until it ends no other command with
//! the same [`Cmd::lock`] is started.

mod turn;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::fail_point;
use turn::Turn;

/// Programs the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// LVM's tool; its first argument is the command (`lvs`, `vgcreate`, ...).
    Lvm,
    /// Lists and erases signatures of file systems, partition tables, RAID, LVM (util-linux).
    Wipefs,
    /// Loads kernel modules.
    Modprobe,
    /// Device mapper's own tool, which LVM brings.
    Dmsetup,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Lvm => "lvm",
            Program::Wipefs => "wipefs",
            Program::Modprobe => "modprobe",
            Program::Dmsetup => "dmsetup",
        }
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmd {
    /// What to run.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<String>,
    /// How long to wait for it.
    pub deadline: Duration,
    /// What it works on: a volume group's name, say.
    pub lock: String,
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program.name(), self.args.join(" "))
    }
}

/// A command that did not end well.
#[derive(Debug, Error)]
pub enum CmdError {
    /// The program is in none of the directories where programs are.
    #[error("`{}` is not installed", program.name())]
    NotInstalled {
        /// Which.
        program: Program,
    },
    /// It could not be started or waited for.
    #[error("failed to run `{cmd}`")]
    Run {
        /// The command.
        cmd: String,
        #[source]
        #[expect(missing_docs, reason = "the source says it")]
        source: io::Error,
    },
    /// It ended with an error.
    #[error("`{cmd}` ended with {status}: {stderr}")]
    Failed {
        /// The command.
        cmd: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// It did not end in time; what it did is unknown.
    #[error("`{cmd}` did not end within {} s and is still running", deadline.as_secs())]
    Unknown {
        /// The command.
        cmd: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// An earlier command on the same thing is still running.
    #[error("`{earlier}` is still running")]
    Busy {
        /// The earlier command.
        earlier: String,
    },
    /// Its output is not what we know how to read.
    #[error("`{cmd}` printed what can't be read: {reason}")]
    Output {
        /// The command.
        cmd: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Runs commands.
pub trait Runner: Send {
    /// Runs one and returns what it printed to stdout, if it ended with 0.
    ///
    /// # Errors
    /// See [`CmdError`].
    fn run(&self, cmd: &Cmd) -> Result<String, CmdError>;
}

/// Runs commands on this node.
pub struct Host {
    programs: BTreeMap<Program, PathBuf>,
    turn: Option<Turn>,
    running: Mutex<BTreeMap<String, Straggler>>,
}

struct Straggler {
    cmd: String,
    ended: Receiver<io::Result<Output>>,
}

/// Where programs are; `$PATH` belongs to whoever started us.
const DIRS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

impl Host {
    /// Looks for the programs once. `lvm` is used for [`Program::Lvm`] if given.
    #[must_use]
    pub fn new(lvm: Option<&Path>) -> Self {
        let mut programs = BTreeMap::new();
        for program in [
            Program::Lvm,
            Program::Wipefs,
            Program::Modprobe,
            Program::Dmsetup,
        ] {
            let candidates = DIRS.iter().map(|dir| Path::new(dir).join(program.name()));
            if let Some(path) = candidates.into_iter().find(|path| path.is_file()) {
                programs.insert(program, path);
            }
        }
        if let Some(lvm) = lvm {
            programs.insert(Program::Lvm, lvm.to_owned());
        }
        Host {
            programs,
            turn: None,
            running: Mutex::default(),
        }
    }

    /// Runs nothing until the commands of every agent before have ended that had the same lock file.
    ///
    /// # Errors
    /// The file can't be made or opened.
    pub fn after_others(mut self, lock: &Path) -> io::Result<Self> {
        self.turn = Some(Turn::at(lock)?);
        Ok(self)
    }

    fn start(&self, cmd: &Cmd) -> Result<Receiver<io::Result<Output>>, CmdError> {
        let failed = |source| CmdError::Run {
            cmd: cmd.to_string(),
            source,
        };
        let program = cmd.program;
        let path = self
            .programs
            .get(&program)
            .ok_or(CmdError::NotInstalled { program })?;
        let stdin = match &self.turn {
            None => Ok(Stdio::null()),
            Some(turn) => turn.take(),
        };
        let stdin = stdin.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => CmdError::Busy {
                earlier: "a command of the agent before".to_owned(),
            },
            _ => failed(error),
        })?;
        let mut command = Command::new(path);
        command
            .args(&cmd.args)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", DIRS.join(":"))
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().map_err(failed)?;
        fail_point::after("command started");
        let (tell, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name(program.name().to_owned())
            // The send fails if the agent is stopping: nobody listens any more.
            .spawn(move || tell.send(child.wait_with_output()).unwrap_or_default())
            .map_err(failed)?;
        Ok(ended)
    }
}

impl Runner for Host {
    fn run(&self, cmd: &Cmd) -> Result<String, CmdError> {
        let poisoned = "a thread that held the list of commands panicked";
        let mut running = self.running.lock().expect(poisoned);
        if let Some(straggler) = running.get(&cmd.lock) {
            match straggler.ended.try_recv() {
                Err(TryRecvError::Empty) => {
                    let earlier = straggler.cmd.clone();
                    return Err(CmdError::Busy { earlier });
                }
                Ok(_) | Err(TryRecvError::Disconnected) => {
                    running.remove(&cmd.lock);
                }
            }
        }
        let begun = Instant::now();
        let ended = self.start(cmd)?;
        let output = match ended.recv_timeout(cmd.deadline) {
            Ok(output) => output,
            Err(RecvTimeoutError::Timeout) => {
                let straggler = Straggler {
                    cmd: cmd.to_string(),
                    ended,
                };
                running.insert(cmd.lock.clone(), straggler);
                return Err(CmdError::Unknown {
                    cmd: cmd.to_string(),
                    deadline: cmd.deadline,
                });
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its thread panicked")),
        };
        tracing::debug!(%cmd, took = ?begun.elapsed(), "command");
        fail_point::after("command ended");
        let output = output.map_err(|source| CmdError::Run {
            cmd: cmd.to_string(),
            source,
        })?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !output.status.success() {
            return Err(CmdError::Failed {
                cmd: cmd.to_string(),
                status: output.status,
                stderr,
            });
        }
        if !stderr.is_empty() {
            tracing::debug!(%cmd, stderr, "warned");
        }
        String::from_utf8(output.stdout).map_err(|_| CmdError::Output {
            cmd: cmd.to_string(),
            reason: "not UTF-8".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/bin/sh` in the place of `lvm`.
    fn shell(script: &str, deadline: Duration) -> Cmd {
        Cmd {
            program: Program::Lvm,
            args: vec!["-c".to_owned(), script.to_owned()],
            deadline,
            lock: "vg".to_owned(),
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn host() -> Host {
        Host::new(Some(Path::new("/bin/sh")))
    }

    #[test]
    fn an_error_carries_the_command_its_status_and_its_words() {
        let error = host()
            .run(&shell("echo no such vg >&2; exit 5", LONG))
            .unwrap_err();
        let text = error.to_string();
        for part in ["exit 5`", "exit status: 5", "no such vg"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_environment_is_ours() {
        let env = host().run(&shell("env", LONG)).unwrap();
        let mut names: Vec<&str> = env
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect();
        names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }

    /// Seen red with: `running.insert` on a timeout removed.
    #[test]
    fn after_a_deadline_nothing_else_touches_the_same_volume_group_until_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let gate = dir.path().join("go");
        let host = host();
        let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", gate.display());
        let late = host.run(&shell(&wait, Duration::ZERO)).unwrap_err();
        assert!(matches!(late, CmdError::Unknown { .. }), "{late}");
        let busy = host.run(&shell("true", LONG)).unwrap_err();
        assert!(matches!(busy, CmdError::Busy { .. }), "{busy}");
        let mut elsewhere = shell("true", LONG);
        elsewhere.lock = "other".to_owned();
        host.run(&elsewhere).unwrap();

        std::fs::write(&gate, "").unwrap();
        let deadline = std::time::Instant::now() + LONG;
        while host.run(&shell("true", LONG)).is_err() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
}
