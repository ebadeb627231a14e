//! Work that may hang, in a process of its own. Who waits for a disk that does not answer can't be killed, and a process with such a thread
//! can't end: this one must be able to.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::Trouble;
use crate::node::helper::Job;

/// This program, also when its file was replaced.
pub(super) const SELF: &str = "/proc/self/exe";
/// How long after SIGKILL a process that can end has ended.
const AGONY: Duration = Duration::from_secs(1);

/// Has a job done by a program, for at most `limit`. After that it and all it started are killed, and left alone if that does not end them: they wait
/// for a disk, and end when it answers or is gone.
pub(super) async fn have<T: DeserializeOwned>(
    program: &Path,
    job: &Job,
    limit: Duration,
) -> Result<T, Trouble> {
    let text = serde_json::to_string(job).map_err(|error| Trouble::Failed(error.to_string()))?;
    let mut command = Command::new(program);
    command
        .args([crate::node::helper::WORD, &text])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A signal for it is for what it started as well.
        .process_group(0);
    let mut child = command.spawn().map_err(|error| {
        Trouble::Failed(format!("{} can't be started: {error}", program.display()))
    })?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    if let Ok(answer) = tokio::time::timeout(limit, answer(&mut child)).await {
        // It has ended: its number may be another's from now on.
        group.0 = None;
        return answer;
    }
    let (name, process) = (job.name(), group.0);
    drop(group);
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

/// A helper and all it started, which are killed with this, also where nobody waits for them any more.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has ended needs no signal.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

async fn answer<T: DeserializeOwned>(child: &mut Child) -> Result<T, Trouble> {
    let mut text = Vec::new();
    if let Some(out) = &mut child.stdout {
        let read = out.read_to_end(&mut text).await;
        read.map_err(|error| Trouble::Failed(format!("a helper's answer can't be read: {error}")))?;
    }
    let status = child.wait().await;
    let status = status.map_err(|error| Trouble::Failed(format!("a helper was lost: {error}")))?;
    serde_json::from_slice(&text).unwrap_or_else(|_| {
        let how = status
            .signal()
            .map_or(format!("{status}"), |signal| format!("signal {signal}"));
        Err(Trouble::Failed(format!(
            "a helper ended with {how} and no answer"
        )))
    })
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
        let job = Job::Usage("/".into());
        // While another test forks, the script may be open for writing in its child.
        loop {
            match have(program, &job, limit).await {
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

    #[tokio::test]
    async fn an_answer_is_taken_as_it_is_and_none_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(60);
        let program = script(directory.path(), r#"echo '{"Err":{"Busy":"x"}}'"#);
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
