//! Controller, API and kubectl on a storage node, as a person at its shell handles them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::storage::{self, PATIENCE};
use crate::vm::guest::Guest;

/// What the agent of the storage node is given.
pub(crate) const AGENT_KUBECONFIG: &str = "/var/lib/weir/agent.kubeconfig";

/// Where the API keeps its objects and kubeconfigs.
pub(crate) const DIR: &str = "/var/lib/weir/api";
const COPY: &str = "/var/lib/weir/api.saved";
const LOG: &str = "/run/weir/controller.log";

/// How much of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// API and controller.
    Both,
    /// The API alone.
    Api,
}

/// A controller that serves its own API.
pub(crate) struct ControlPlane<'a> {
    guest: &'a Guest,
    /// Where other nodes reach it.
    listen: String,
}

impl<'a> ControlPlane<'a> {
    pub(crate) fn new(guest: &'a Guest) -> Self {
        ControlPlane {
            guest,
            listen: "127.0.0.1:6443".to_owned(),
        }
    }

    /// One that other nodes reach at an address of its node.
    pub(crate) fn at(guest: &'a Guest, address: &str) -> Self {
        ControlPlane {
            guest,
            listen: format!("{address}:6443"),
        }
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&self, parts: Parts) -> Result<()> {
        self.guest.sh("mkdir -p /run/weir /var/lib/weir")?;
        let options = match parts {
            Parts::Both => "",
            Parts::Api => " --api-only",
        };
        let command = format!("{}{options}", self.command());
        self.guest.spawn(&command, LOG)?;
        let ready = format!("{} get --raw /readyz", kubectl());
        let answers = self.guest.wait_for(&ready, PATIENCE);
        answers.map(drop).with_context(|| self.log())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&self) -> Result<()> {
        let kill = "pid=$(pidof weir-controller) && kill -9 $pid && \
                    while kill -0 $pid 2>/dev/null; do sleep 0.02; done";
        self.guest.sh(kill).map(drop)
    }

    /// Keeps a copy of all that it has, as of now; it must not run.
    pub(crate) fn save(&self) -> Result<()> {
        let save = format!("rm -rf {COPY} && cp -a {DIR} {COPY} && sync");
        self.guest.sh(&save).map(drop)
    }

    /// Puts the copy in the place of what it has; it must not run.
    pub(crate) fn restore(&self) -> Result<()> {
        let restore = format!("rm -rf {DIR} && cp -a {COPY} {DIR} && sync");
        self.guest.sh(&restore).map(drop)
    }

    /// Removes all that it has; it must not run.
    pub(crate) fn empty(&self) -> Result<()> {
        self.guest.sh(&format!("rm -rf {DIR} && sync")).map(drop)
    }

    /// Puts an empty store of another cluster in the place of the one that it has, under the same certificates; it must not
    /// run.
    pub(crate) fn replace(&self) -> Result<()> {
        let replace = format!("rm -r {DIR}/store && sync");
        self.guest.sh(&replace).map(drop)
    }

    /// The cluster that it is.
    pub(crate) fn cluster(&self) -> Result<String> {
        let uid = self.kubectl("get namespace kube-system -o jsonpath='{.metadata.uid}'")?;
        Ok(uid.trim().to_owned())
    }

    /// Makes the kubeconfig of the storage node's agent.
    pub(crate) fn enrol(&self) -> Result<()> {
        self.enrol_node(storage::NODE, self.guest)
    }

    /// Makes the kubeconfig of a node's agent, and brings it there.
    pub(crate) fn enrol_node(&self, node: &str, guest: &Guest) -> Result<()> {
        self.enrol_as(&format!("agent:{node}"), guest, AGENT_KUBECONFIG)
    }

    /// Makes the kubeconfig of an identity, and brings it to a guest.
    pub(crate) fn enrol_as(&self, identity: &str, guest: &Guest, file: &str) -> Result<()> {
        let command = format!("{} kubeconfig {identity}", self.command());
        let kubeconfig = self.guest.sh(&command)?;
        guest.sh("mkdir -p /var/lib/weir")?;
        guest.write(file, &kubeconfig)
    }

    fn command(&self) -> String {
        format!(
            "weir-controller --standalone {DIR} --listen {}",
            self.listen
        )
    }

    /// Runs `weir`, which must succeed; its standard output.
    pub(crate) fn weir(&self, arguments: &str) -> Result<String> {
        let weir = format!("KUBECONFIG={DIR}/admin.kubeconfig weir {arguments}");
        self.guest.sh(&weir)
    }

    /// Runs kubectl, which must succeed; its standard output.
    pub(crate) fn kubectl(&self, arguments: &str) -> Result<String> {
        self.guest.sh(&format!("{} {arguments}", kubectl()))
    }

    /// Applies an object.
    pub(crate) fn apply(&self, object: &Value) -> Result<()> {
        let file = "/run/weir/applied.json";
        self.guest.write(file, &object.to_string())?;
        self.kubectl(&format!("apply -f {file}")).map(drop)
    }

    /// Waits until what kubectl prints of an object matches a regular expression; the object.
    pub(crate) fn wait(&self, object: &str, pattern: &str) -> Result<Value> {
        let get = format!("{} get {object} -o json", kubectl());
        let script = format!(
            "seen=$({get}) && printf %s \"$seen\" | tr -d '\\n ' | grep -q '{pattern}' && printf %s \"$seen\""
        );
        let seen = self.guest.wait_for(&script, PATIENCE);
        let seen = seen.with_context(|| {
            let last = self.guest.run(&get).map(|output| output.stdout);
            format!(
                "{object} never said {pattern}: {}\n{}",
                last.unwrap_or_default(),
                self.log()
            )
        })?;
        serde_json::from_str(&seen).context("kubectl printed no object")
    }

    /// Waits until an object is gone.
    pub(crate) fn wait_gone(&self, object: &str) -> Result<()> {
        let script = format!("{} get {object} 2>&1 | grep -q NotFound", kubectl());
        let gone = self.guest.wait_for(&script, PATIENCE);
        gone.map(drop).with_context(|| self.log())
    }

    /// Fails unless the controller's log is free of what only a defect writes there.
    pub(crate) fn check_log(&self) -> Result<()> {
        let log = self.guest.run(&format!("grep -n 'panicked' {LOG}"))?;
        ensure!(log.code != 0, "the controller's log has: {}", log.stdout);
        Ok(())
    }

    /// The last lines of the controller's log.
    pub(crate) fn log(&self) -> String {
        let log = self.guest.run(&format!("tail -n 40 {LOG}"));
        format!(
            "the controller's log ends with:\n{}",
            log.map(|output| output.stdout).unwrap_or_default()
        )
    }
}

fn kubectl() -> String {
    format!("KUBECONFIG={DIR}/admin.kubeconfig kubectl")
}
