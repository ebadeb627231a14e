//! Commands inside a guest, through QEMU's guest agent over a virtio serial port: its protocol is
//! one JSON object per line (QEMU's documentation, interop/qemu-ga-ref).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// A running guest's agent.
pub(crate) struct Guest {
    name: String,
    socket: PathBuf,
    line: Mutex<Option<BufReader<UnixStream>>>,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Exit code; 128 + signal where a signal ended it, as a shell reports it.
    pub(crate) code: i64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How long a command may take unless the caller says otherwise; guests may be emulated.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

impl Guest {
    pub(crate) fn new(name: &str, socket: &Path) -> Self {
        Guest {
            name: name.to_owned(),
            socket: socket.to_owned(),
            line: Mutex::new(None),
        }
    }

    /// Waits until the guest answers.
    pub(crate) fn wait_ready(&self, deadline: Instant) -> Result<()> {
        loop {
            match self.ask("guest-ping", &json!({}), Duration::from_millis(500)) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context(format!("guest {} does not answer", self.name)));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Runs a shell script to its end; its output, whatever its exit code.
    pub(crate) fn run(&self, script: &str) -> Result<Output> {
        self.run_for(script, PATIENCE)
    }

    /// The same, with a time limit of the caller's.
    pub(crate) fn run_for(&self, script: &str, limit: Duration) -> Result<Output> {
        self.run_within(script, "", limit)
    }

    /// Runs a shell script that must succeed; its standard output.
    pub(crate) fn sh(&self, script: &str) -> Result<String> {
        self.succeed(script, self.run(script)?)
    }

    /// The same, with a time limit of the caller's.
    pub(crate) fn sh_within(&self, script: &str, limit: Duration) -> Result<String> {
        self.succeed(script, self.run_for(script, limit)?)
    }

    /// Writes a file: readers see all of it or nothing.
    pub(crate) fn write(&self, path: &str, content: &str) -> Result<()> {
        let script = format!("cat > '{path}.new' && mv '{path}.new' '{path}'");
        self.succeed(&script, self.run_within(&script, content, PATIENCE)?)
            .map(drop)
    }

    /// Starts a program that goes on by itself, its output appended to a file; its process id.
    pub(crate) fn spawn(&self, command: &str, log: &str) -> Result<i64> {
        self.start(&format!("exec {command} >>{log} 2>&1"), "", false)
    }

    /// Repeats a script until it succeeds; its standard output.
    pub(crate) fn wait_for(&self, script: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let output = self.run(script)?;
            if output.code == 0 {
                return Ok(output.stdout);
            }
            if Instant::now() > deadline {
                return self
                    .succeed(script, output)
                    .with_context(|| format!("did not come about within {} s", limit.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn run_within(&self, script: &str, input: &str, limit: Duration) -> Result<Output> {
        let pid = self.start(script, input, true)?;
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(10);
        loop {
            let status = self.ask("guest-exec-status", &json!({ "pid": pid }), PATIENCE)?;
            if status["exited"] == true {
                return Output::of(&status);
            }
            if Instant::now() > deadline {
                self.start(&format!("kill -9 {pid}"), "", false)?;
                bail!(
                    "{}: `{script}` did not end within {} s",
                    self.name,
                    limit.as_secs()
                );
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    fn start(&self, script: &str, input: &str, capture: bool) -> Result<i64> {
        let mut arguments = json!({
            "path": "/bin/bash",
            "arg": ["-c", script],
            "env": ["PATH=/weir:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"],
            "capture-output": capture,
        });
        if !input.is_empty() {
            arguments["input-data"] = json!(BASE64.encode(input));
        }
        let answer = self.ask("guest-exec", &arguments, PATIENCE)?;
        answer["pid"]
            .as_i64()
            .with_context(|| format!("guest-exec answered {answer}"))
    }

    fn succeed(&self, script: &str, output: Output) -> Result<String> {
        if output.code == 0 {
            return Ok(output.stdout);
        }
        bail!(
            "{}: `{script}` ended with {}:\n{}{}",
            self.name,
            output.code,
            output.stdout,
            output.stderr
        )
    }

    fn ask(&self, command: &str, arguments: &Value, limit: Duration) -> Result<Value> {
        let mut line = self.lock();
        let answer = self.exchange(&mut line, command, arguments, limit);
        if answer.is_err() {
            // An answer may still come: it must not be taken for the next question's.
            *line = None;
        }
        answer.with_context(|| format!("asking guest {} for {command}", self.name))
    }

    fn exchange(
        &self,
        line: &mut Option<BufReader<UnixStream>>,
        command: &str,
        arguments: &Value,
        limit: Duration,
    ) -> Result<Value> {
        if line.is_none() {
            *line = Some(connect(&self.socket, limit)?);
        }
        let reader = line.as_mut().context("not connected")?;
        reader.get_ref().set_read_timeout(Some(limit))?;
        let question = json!({ "execute": command, "arguments": arguments });
        reader
            .get_mut()
            .write_all(format!("{question}\n").as_bytes())?;
        let mut answer = String::new();
        reader.read_line(&mut answer)?;
        let mut answer: Value = serde_json::from_str(&answer).context("not JSON")?;
        match answer.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err(anyhow!("it answered {answer}")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<BufReader<UnixStream>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, past answers that an earlier connection did not wait for: the guest's agent doesn't
/// notice that the other end changed.
fn connect(socket: &Path, limit: Duration) -> Result<BufReader<UnixStream>> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut reader = BufReader::new(UnixStream::connect(socket)?);
    reader.get_ref().set_read_timeout(Some(limit))?;
    let question = json!({ "execute": "guest-sync", "arguments": { "id": id } });
    reader
        .get_mut()
        .write_all(format!("{question}\n").as_bytes())?;
    loop {
        let mut answer = String::new();
        ensure!(
            reader.read_line(&mut answer)? > 0,
            "the guest's port was closed"
        );
        let answer: Result<Value, _> = serde_json::from_str(&answer);
        if answer.is_ok_and(|answer| answer["return"] == id) {
            return Ok(reader);
        }
    }
}

impl Output {
    fn of(status: &Value) -> Result<Self> {
        let text = |key: &str| -> Result<String> {
            let data = BASE64.decode(status[key].as_str().unwrap_or_default())?;
            Ok(String::from_utf8_lossy(&data).into_owned())
        };
        let signalled = status["signal"].as_i64().map(|signal| 128 + signal);
        let code = status["exitcode"]
            .as_i64()
            .or(signalled)
            .context("neither exit code nor signal")?;
        Ok(Output {
            code,
            stdout: text("out-data")?,
            stderr: text("err-data")?,
        })
    }
}
