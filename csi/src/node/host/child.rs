//! Work that may hang, in a process of its own. Who waits for a disk that does not answer can't be killed, and a process with such a thread
//! can't end: this one must be able to.

use std::os::unix::process::ExitStatusExt;
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
const SELF: &str = "/proc/self/exe";
/// How long after SIGKILL a process that can end has ended.
const AGONY: Duration = Duration::from_secs(1);

/// Has a job done, for at most `limit`. After that it and all it started are killed, and left alone if that does not end them: they wait
/// for a disk, and end when it answers or is gone.
pub(super) async fn have<T: DeserializeOwned>(job: &Job, limit: Duration) -> Result<T, Trouble> {
    let text = serde_json::to_string(job).map_err(|error| Trouble::Failed(error.to_string()))?;
    let mut command = Command::new(SELF);
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
    let mut child = command
        .spawn()
        .map_err(|error| Trouble::Failed(format!("{SELF} can't be started: {error}")))?;
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
