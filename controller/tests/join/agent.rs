//! The agent's loop on a simulated node: nothing but what wakes it makes it look again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use weir_agent::join::{Join, Leader};
use weir_agent::sim::node::SimNode;
use weir_agent::wake::Wake;
use weir_api::names::NodeName;

/// The node's name.
pub(crate) const NODE: &str = "node-1";

pub(crate) struct Agent {
    wake: Sender<Wake>,
    rounds: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    /// Who leads, as it finds.
    pub(crate) leader: Leader,
}

impl Agent {
    pub(crate) fn start(node: &SimNode, name: &str, kubeconfig: &Path) -> Self {
        let (wake, wakes) = mpsc::channel();
        let rounds = Arc::new(AtomicUsize::new(0));
        let (node, kubeconfig) = (node.clone(), PathBuf::from(kubeconfig));
        let name: NodeName = name.parse().unwrap();
        let (waker, counted) = (wake.clone(), Arc::clone(&rounds));
        let (say, said) = mpsc::channel();
        let run = move || {
            let join = Join::start(kubeconfig, name.clone(), waker).unwrap();
            say.send(join.leader()).unwrap();
            let mut engine = node.engine(&name);
            loop {
                let round = engine.round(&join.requests());
                if round.is_ok() {
                    join.tell(engine.statuses());
                }
                counted.fetch_add(1, Ordering::Relaxed);
                if node.finish_zeroing() {
                    continue;
                }
                if wakes.recv() != Ok(Wake::Asked) {
                    return;
                }
            }
        };
        Agent {
            wake,
            rounds,
            thread: Some(std::thread::spawn(run)),
            leader: said.recv().unwrap(),
        }
    }

    /// How often it looked.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Ends it between two rounds.
    pub(crate) fn stop(&mut self) {
        let _gone = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
