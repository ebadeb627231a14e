//! One agent's commands at a time: a command outlives the agent that was killed while it ran, and the
//! next agent must not act on what is there before that command has ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A lock (flock(2)) that is held by an agent and by every command that it started, until the last
/// of them ends. It is on an empty file that commands get as their standard input: LVM closes every
/// other descriptor that it is given.
#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    is_ours: Mutex<bool>,
}

/// How long to wait for commands of an agent before; most end within a second.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

impl Turn {
    /// The lock on this file, which is made if it isn't there.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path)?;
        Ok(Turn {
            file,
            is_ours: Mutex::new(false),
        })
    }

    /// Standard input for a command, which holds the lock as long as it runs.
    ///
    /// # Errors
    /// `WouldBlock`: a command of an agent before is still running.
    pub(super) fn take(&self) -> io::Result<Stdio> {
        let mut is_ours = self.is_ours.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        while !*is_ours {
            match self.file.try_lock() {
                Ok(()) => *is_ours = true,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(POLL);
                }
                Err(error) => return Err(error.into()),
            }
        }
        // A duplicate shares the lock.
        self.file.try_clone().map(Stdio::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_command_holds_the_lock_when_its_agent_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let before = Turn::at(&path).unwrap();
        let mut command = Command::new("/bin/sleep");
        let mut child = command
            .arg("600")
            .stdin(before.take().unwrap())
            .spawn()
            .unwrap();
        drop(command);
        drop(before);
        let other = File::open(&path).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        child.kill().unwrap();
        child.wait().unwrap();
        other.try_lock().unwrap();
    }
}
