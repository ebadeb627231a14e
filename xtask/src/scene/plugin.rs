//! The CSI plugin on a node, and who asks it: kubelet on each, and the sidecars on one.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::storage::PATIENCE;
use crate::vm::guest::Guest;

/// Below it kubelet has everything of volumes.
pub(crate) const KUBELET: &str = "/var/lib/kubelet";

/// What a request may be told that is made again: it is under way, its time was over, somebody it needs is away.
const RETRIED: [&str; 4] = ["Aborted", "DeadlineExceeded", "Unavailable", "Unknown"];

/// Half of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half<'a> {
    /// Once.
    Controller,
    /// On the node of this name.
    Node(&'a str),
}

/// A plugin in a guest.
pub(crate) struct Plugin<'a> {
    guest: &'a Guest,
    half: Half<'a>,
}

impl<'a> Plugin<'a> {
    pub(crate) fn new(guest: &'a Guest, half: Half<'a>) -> Self {
        Plugin { guest, half }
    }

    fn name(&self) -> &'static str {
        match self.half {
            Half::Controller => "csi-controller",
            Half::Node(_) => "csi-node",
        }
    }

    fn kubeconfig(&self) -> String {
        format!("/var/lib/weir/{}.kubeconfig", self.name())
    }

    fn socket(&self) -> String {
        format!("/run/csi/{}.sock", self.name())
    }

    fn log_file(&self) -> String {
        format!("/run/csi/{}.log", self.name())
    }

    /// Brings its kubeconfig.
    pub(crate) fn enrol(&self, plane: &ControlPlane<'_>) -> Result<()> {
        let identity = match self.half {
            Half::Controller => "csi-controller".to_owned(),
            Half::Node(node) => format!("csi-node:{node}"),
        };
        plane.enrol_as(&identity, self.guest, &self.kubeconfig())
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&self) -> Result<()> {
        let half = match self.half {
            Half::Controller => "controller".to_owned(),
            Half::Node(node) => format!("node --node {node}"),
        };
        // As systemd and kubelet have it.
        self.guest.sh(&format!(
            "mkdir -p /run/csi {KUBELET} && mount --make-rshared /"
        ))?;
        let (socket, kubeconfig) = (self.socket(), self.kubeconfig());
        let command = format!(
            "env RUST_LOG=weir_csi=debug weir-csi --mode {half} --endpoint unix://{socket} --kubeconfig {kubeconfig}"
        );
        let pid = self.guest.spawn(&command, &self.log_file())?;
        self.guest
            .sh(&format!("echo {pid} > /run/csi/{}.pid", self.name()))?;
        // What an earlier one left behind answers nobody.
        let probe = self.asking(&json!([{"ask": "Probe"}]));
        let listens = format!("kill -0 {pid} && {probe}");
        let listens = self.guest.wait_for(&listens, PATIENCE);
        listens.map(drop).with_context(|| self.log())
    }

    /// A command that ends it at once, as a crash would.
    pub(crate) fn killing(&self) -> String {
        format!(
            "pid=$(cat /run/csi/{}.pid) && kill -9 $pid && while kill -0 $pid 2>/dev/null; do sleep 0.02; done",
            self.name()
        )
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&self) -> Result<()> {
        self.guest.sh(&self.killing()).map(drop)
    }

    /// A command that makes calls; see `guest-csi`.
    pub(crate) fn asking(&self, calls: &Value) -> String {
        format!("guest-csi {} <<'CALLS'\n{calls}\nCALLS\n", self.socket())
    }

    /// Makes calls; what became of them.
    pub(crate) fn ask(&self, calls: &Value) -> Result<Value> {
        let answer = self.guest.sh_within(&self.asking(calls), PATIENCE * 3);
        let answer = answer.with_context(|| self.log())?;
        serde_json::from_str(&answer).with_context(|| format!("`{answer}`"))
    }

    /// Makes calls, all of which have to succeed, again as a whole where one is told what its callers try again after, such as that the
    /// API was away; the answers, in order, without what they stand in.
    pub(crate) fn settled(&self, calls: &Value) -> Result<Vec<Value>> {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let told = self.ask(calls)?;
            let mut answers = Vec::new();
            let done = self.flat(&told, &mut answers);
            if done.is_ok() || Instant::now() > deadline || !is_retried(&told) {
                return done.map(|()| answers);
            }
            eprintln!("weir: {}: asked again after {told}", self.name());
        }
    }

    fn flat(&self, told: &Value, into: &mut Vec<Value>) -> Result<()> {
        if let Some(list) = told.as_array() {
            return list.iter().try_for_each(|one| self.flat(one, into));
        }
        match told.get("ok") {
            Some(ok) => into.push(ok.clone()),
            None => bail!("refused: {told}\n{}", self.log()),
        }
        Ok(())
    }

    /// Makes a call again and again, as its callers do, until it succeeds; the answer. What they may not be told is an error at once.
    pub(crate) fn retried(&self, call: &Value) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let told = self.ask(&json!([call]))?;
            let code = told[0]["code"].as_str().unwrap_or("none");
            if let Some(ok) = told[0].get("ok") {
                return Ok(ok.clone());
            }
            ensure!(
                RETRIED.contains(&code) && Instant::now() < deadline,
                "{call}: {told}\n{}",
                self.log()
            );
        }
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        let log = self.guest.run(&format!("tail -n 60 {}", self.log_file()));
        format!(
            "the log of {} ends with:\n{}",
            self.name(),
            log.map(|output| output.stdout).unwrap_or_default()
        )
    }
}

/// Whether all that was refused may be tried again.
fn is_retried(told: &Value) -> bool {
    match (told.as_array(), told["code"].as_str()) {
        (Some(list), _) => list.iter().all(is_retried),
        (None, Some(code)) => RETRIED.contains(&code),
        (None, None) => true,
    }
}
