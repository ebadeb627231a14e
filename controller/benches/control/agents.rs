//! Agents without disks: each one's connection to the API is the real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use kube::config::Kubeconfig;
use weir_agent::join::{Enrolment, Join};
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
    /// Whether they are busy with what they were asked for, as those are that have LVs to make.
    are_busy: Arc<AtomicBool>,
    all: Vec<(Sender<Wake>, JoinHandle<()>)>,
}

impl Agents {
    /// Starts them, each with a certificate of its own.
    pub(crate) fn start(dir: &Path, count: usize) -> Self {
        let admin = Kubeconfig::read_from(dir.join("admin.kubeconfig")).unwrap();
        let server = admin.clusters[0].cluster.as_ref().unwrap().server.clone();
        let server = server.unwrap();
        let answers = Answers::learn();
        let are_busy = Arc::new(AtomicBool::new(false));
        let now = k8s_openapi::jiff::Timestamp::now();
        let authority = Authority::open(dir, now).unwrap();
        let start = |number| {
            let identity = format!("agent:{}", node(number)).parse().unwrap();
            let text = authority.kubeconfig(&identity, &server, 1, now).unwrap();
            let kubeconfig = dir.join(format!("{}.kubeconfig", node(number)));
            fs::write(&kubeconfig, text).unwrap();
            let (answers, are_busy) = (answers.clone(), Arc::clone(&are_busy));
            agent(node(number).parse().unwrap(), kubeconfig, answers, are_busy)
        };
        Agents {
            all: (0..count).map(start).collect(),
            are_busy,
        }
    }

    /// What they are asked for from now on they do later.
    pub(crate) fn are_busy(&self) {
        self.are_busy.store(true, Ordering::Relaxed);
    }

    /// They have done all of it.
    pub(crate) fn are_done(&self) {
        self.are_busy.store(false, Ordering::Relaxed);
        for (wake, _) in &self.all {
            let _gone = wake.send(Wake::Asked);
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
fn agent(
    node: NodeName,
    kubeconfig: PathBuf,
    answers: Answers,
    are_busy: Arc<AtomicBool>,
) -> (Sender<Wake>, JoinHandle<()>) {
    let (wake, wakes) = mpsc::channel();
    let waker = wake.clone();
    let run = move || {
        let enrolment = Enrolment {
            kubeconfig,
            telemetry_token: None,
            node,
            pools: Vec::new(),
        };
        let join = Join::start(enrolment, waker).unwrap();
        // It has looked, and holds nothing.
        join.tell(&Statuses::default());
        while let Ok(woken) = wakes.recv() {
            if wakes.try_iter().fold(woken, Wake::max) == Wake::Stop {
                return;
            }
            if are_busy.load(Ordering::Relaxed) {
                continue;
            }
            if let Some(statuses) = answers.to(&join.requests()) {
                join.tell(&statuses);
            }
        }
    };
    (wake, std::thread::spawn(run))
}
