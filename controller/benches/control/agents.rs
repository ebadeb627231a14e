//! Agents without disks: each one's connection to the API is the real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use kube::config::Kubeconfig;
use weir_agent::join::Join;
use weir_agent::statuses::Statuses;
use weir_agent::wake::Wake;
use weir_api::names::NodeName;
use weir_controller::standalone::authority::Authority;

use crate::engine::Answers;

/// The name of an agent's node.
pub(crate) fn node(agent: usize) -> String {
    format!("node-{agent:04}")
}

/// The name of one of its pools.
pub(crate) fn pool(agent: usize, of_agent: usize) -> String {
    format!("{}-pool-{of_agent}", node(agent))
}

/// All of them.
pub(crate) struct Agents {
    all: Vec<(Sender<Wake>, JoinHandle<()>)>,
}

impl Agents {
    /// Starts them, each with a certificate of its own.
    pub(crate) fn start(dir: &Path, count: usize) -> Self {
        let admin = Kubeconfig::read_from(dir.join("admin.kubeconfig")).unwrap();
        let server = admin.clusters[0].cluster.as_ref().unwrap().server.clone();
        let server = server.unwrap();
        let answers = Answers::learn();
        let now = k8s_openapi::jiff::Timestamp::now();
        let authority = Authority::open(dir, now).unwrap();
        let start = |number| {
            let identity = format!("agent:{}", node(number)).parse().unwrap();
            let text = authority.kubeconfig(&identity, &server, 1, now).unwrap();
            let kubeconfig = dir.join(format!("{}.kubeconfig", node(number)));
            fs::write(&kubeconfig, text).unwrap();
            agent(node(number).parse().unwrap(), kubeconfig, answers.clone())
        };
        Agents {
            all: (0..count).map(start).collect(),
        }
    }

    /// Ends them.
    pub(crate) fn end(self) {
        for (wake, _) in &self.all {
            let _gone = wake.send(Wake::Stop);
        }
        for (_, thread) in self.all {
            thread.join().unwrap();
        }
    }
}

/// The agent's loop, with nothing to do between what is asked for and what is told.
fn agent(node: NodeName, kubeconfig: PathBuf, answers: Answers) -> (Sender<Wake>, JoinHandle<()>) {
    let (wake, wakes) = mpsc::channel();
    let waker = wake.clone();
    let run = move || {
        let join = Join::start(kubeconfig, node, waker).unwrap();
        // It has looked, and holds nothing.
        join.tell(&Statuses::default());
        while let Ok(woken) = wakes.recv() {
            if wakes.try_iter().fold(woken, Wake::max) == Wake::Stop {
                return;
            }
            if let Some(statuses) = answers.to(&join.requests()) {
                join.tell(&statuses);
            }
        }
    };
    (wake, std::thread::spawn(run))
}
