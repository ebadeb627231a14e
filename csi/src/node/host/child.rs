//! Work that may hang, in processes of their own. Who waits for a disk that does not answer can't be killed, and a process with such a thread
//! can't end: this one must be able to.
//!
//! A helper does one job at a time, and another one when it is done with that: to start a program takes longer than most jobs.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Trouble;
use crate::node::helper::Job;

/// This program, also when its file was replaced.
pub(super) const SELF: &str = "/proc/self/exe";
/// How long after SIGKILL a process that can end has ended.
const AGONY: Duration = Duration::from_secs(1);
/// So many helpers wait for work at most.
const IDLE: usize = 4;

/// Helpers that have nothing to do just now.
#[derive(Clone, Debug, Default)]
pub(super) struct Helpers {
    idle: Arc<Mutex<Vec<Helper>>>,
}

impl Helpers {
    /// Has a job done, for at most `limit`. After that the helper and all it started are killed, and left alone if that does not end them: they wait
    /// for a disk, and end when it answers or is gone. Only a helper that answered, and in time, is ever given another job: no answer is taken for
    /// another job's.
    pub(super) async fn have<T: DeserializeOwned>(
        &self,
        program: &Path,
        job: &Job,
        limit: Duration,
    ) -> Result<T, Trouble> {
        let text =
            serde_json::to_string(job).map_err(|error| Trouble::Failed(error.to_string()))?;
        let mut helper = match self.take() {
            Some(helper) => helper,
            None => Helper::start(program)?,
        };
        if let Ok(answer) = tokio::time::timeout(limit, helper.ask(&text)).await {
            let answer = answer?;
            self.keep(helper);
            return answer;
        }
        let (name, process) = (job.name(), helper.group.0);
        let mut child = helper.end();
        if tokio::time::timeout(AGONY, child.wait()).await.is_err() {
            tracing::warn!(
                job = name,
                process,
                "a helper can't be killed, and is left alone"
            );
        }
        Err(Trouble::Late(format!(
            "{name} did not end within {} s",
            limit.as_secs()
        )))
    }

    /// One that is still there.
    fn take(&self) -> Option<Helper> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut helper) = idle.pop() {
            if matches!(helper.child.try_wait(), Ok(None)) {
                return Some(helper);
            }
            // It has ended: its number may be another's from now on.
            helper.group.0 = None;
        }
        None
    }

    fn keep(&self, helper: Helper) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(helper);
        }
    }
}

/// A process that does jobs, until its input ends.
#[derive(Debug)]
struct Helper {
    /// Dropped first: what is dropped in the middle of a job is killed.
    group: Group,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Helper {
    fn start(program: &Path) -> Result<Self, Trouble> {
        let mut command = Command::new(program);
        command
            .arg(crate::node::helper::WORD)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A signal for it is for what it started as well.
            .process_group(0);
        let unfit =
            |why: String| Trouble::Failed(format!("{} can't be started: {why}", program.display()));
        let mut child = command.spawn().map_err(|error| unfit(error.to_string()))?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(unfit("it has no pipes".to_owned()));
        };
        Ok(Helper {
            group,
            child,
            to,
            from: BufReader::new(from),
        })
    }

    /// Has one job done; its answer, or how the helper was lost.
    async fn ask<T: DeserializeOwned>(&mut self, job: &str) -> Result<Result<T, Trouble>, Trouble> {
        let asked = self.to.write_all(format!("{job}\n").as_bytes()).await;
        let mut line = String::new();
        // One that ended before it heard all of it has no answer either.
        let read = self.from.read_line(&mut line).await;
        let lost = |why: String| Trouble::Failed(format!("a helper was lost: {why}"));
        read.and(asked).map_err(|error| lost(error.to_string()))?;
        if line.ends_with('\n') {
            return serde_json::from_str(&line)
                .map_err(|error| lost(format!("its answer is none: {error}")));
        }
        let status = self.child.wait().await;
        self.group.0 = None;
        let status = status.map_err(|error| lost(error.to_string()))?;
        let how = status
            .signal()
            .map_or(format!("{status}"), |signal| format!("signal {signal}"));
        Err(lost(format!("it ended with {how} and no answer")))
    }

    /// Kills it with all it started.
    fn end(self) -> Child {
        self.child
    }
}

/// A helper and all it started, which are killed with this, also where nobody waits for them any more.
#[derive(Debug)]
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has ended needs no signal.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;

    fn script(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("helper");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn ask(program: &Path, limit: Duration) -> Result<(), Trouble> {
        ask_of(&Helpers::default(), program, limit).await
    }

    async fn ask_of(helpers: &Helpers, program: &Path, limit: Duration) -> Result<(), Trouble> {
        let job = Job::Usage("/".into());
        // While another test forks, the script may be open for writing in its child.
        loop {
            match helpers.have(program, &job, limit).await {
                Err(Trouble::Failed(why)) if why.contains("os error 26") => {}
                answer => return answer,
            }
        }
    }

    /// Seen red with: `process_group` left out: what it started goes on.
    #[tokio::test]
    async fn a_helper_that_does_not_end_is_killed_with_all_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("pid");
        let text = format!("sleep 1000 & echo $! > {}; wait", note.display());
        let begun = Instant::now();
        let program = script(directory.path(), &text);
        let answer = ask(&program, Duration::from_millis(500)).await;
        assert!(matches!(answer, Err(Trouble::Late(_))), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        let pid = fs::read_to_string(note).unwrap();
        let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        for _ in 0..100 {
            if state().is_empty() || state().contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it goes on: {}", state());
    }

    /// Seen red with: `keep` that keeps nothing.
    #[tokio::test]
    async fn one_helper_does_one_job_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let started = directory.path().join("started");
        let text = format!(
            "echo x >> {}; while read job; do echo '{{\"Ok\":null}}'; done",
            started.display()
        );
        let program = script(directory.path(), &text);
        let (helpers, long) = (Helpers::default(), Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(ask_of(&helpers, &program, long).await, Ok(()));
        }
        assert_eq!(fs::read_to_string(&started).unwrap(), "x\n");
        // One that was killed meanwhile is nobody's helper any more.
        let id = helpers.idle.lock().unwrap()[0].group.0.unwrap();
        killpg(Pid::from_raw(id), Signal::SIGKILL).unwrap();
        while PathBuf::from(format!("/proc/{id}/exe")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ask_of(&helpers, &program, long).await, Ok(()));
        assert_eq!(fs::read_to_string(&started).unwrap(), "x\nx\n");
    }

    /// Not seen red yet: a helper kept although its time was over: its answer is taken for the next job's. (With that the test above never ends.)
    #[tokio::test]
    async fn a_late_answer_is_nobodys() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"read job; sleep 1; echo '{"Err":{"Busy":"late"}}'; while read job; do echo '{"Ok":null}'; done"#;
        let program = script(directory.path(), text);
        let helpers = Helpers::default();
        let answer = ask_of(&helpers, &program, Duration::from_millis(300)).await;
        assert!(matches!(answer, Err(Trouble::Late(_))), "{answer:?}");
        let program = script(
            directory.path(),
            r#"while read job; do echo '{"Ok":null}'; done"#,
        );
        let answer = ask_of(&helpers, &program, Duration::from_secs(60)).await;
        assert_eq!(answer, Ok(()));
    }

    #[tokio::test]
    async fn an_answer_is_taken_as_it_is_and_none_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(60);
        let program = script(directory.path(), r#"read job; echo '{"Err":{"Busy":"x"}}'"#);
        assert_eq!(
            ask(&program, long).await,
            Err(Trouble::Busy("x".to_owned()))
        );
        for text in ["true", "exit 3", "kill -9 $$", "echo nonsense"] {
            let program = script(directory.path(), text);
            let answer = ask(&program, long).await;
            assert!(
                matches!(answer, Err(Trouble::Failed(_))),
                "{text}: {answer:?}"
            );
        }
        let answer = ask(Path::new("/nowhere"), long).await;
        assert!(matches!(answer, Err(Trouble::Failed(_))), "{answer:?}");
    }
}
