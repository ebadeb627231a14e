//! The agent's loop on a simulated node: nothing but what wakes it makes it look again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use weir_agent::join::{Enrolment, Join, Leader};
use weir_agent::orders::{self, Answer, Order, Orderer};
use weir_agent::pool_files;
use weir_agent::sim::node::SimNode;
use weir_agent::source::Source;
use weir_agent::wake::Wake;
use weir_api::names::NodeName;

/// The node's name.
pub(crate) const NODE: &str = "node-1";

pub(crate) struct Agent {
    wake: Sender<Wake>,
    orderer: Orderer,
    rounds: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    /// Who leads, as it finds.
    pub(crate) leader: Leader,
}

impl Agent {
    pub(crate) fn start(node: &SimNode, name: &str, kubeconfig: &Path) -> Self {
        Self::start_with(node, name, kubeconfig, None)
    }

    /// One whose configuration names pools.
    pub(crate) fn start_with(
        node: &SimNode,
        name: &str,
        kubeconfig: &Path,
        pools: Option<&Path>,
    ) -> Self {
        let (wake, wakes) = mpsc::channel();
        let rounds = Arc::new(AtomicUsize::new(0));
        let (node, kubeconfig) = (node.clone(), PathBuf::from(kubeconfig));
        let name: NodeName = name.parse().unwrap();
        let pools = pools.map(|path| pool_files::read(path, &name).unwrap());
        let (orderer, ordered) = orders::channel(wake.clone());
        let (waker, counted) = (wake.clone(), Arc::clone(&rounds));
        let (say, said) = mpsc::channel();
        let run = move || {
            let enrolment = Enrolment {
                kubeconfig,
                telemetry_token: None,
                node: name.clone(),
                pools: pools.unwrap_or_default(),
            };
            let join = Join::start(enrolment, waker).unwrap();
            say.send(join.leader()).unwrap();
            let source = Source::Api(join);
            let mut engine = node.engine(&name);
            loop {
                for (order, reply) in ordered.try_iter() {
                    let answer = engine.answer(&order, &source.read_now().requests);
                    let _gone = reply.send(source.carry_out(answer));
                }
                let round = engine.round(&source.read().requests);
                if round.is_ok() {
                    source.tell(engine.statuses());
                }
                counted.fetch_add(1, Ordering::Relaxed);
                if node.finish_zeroing() {
                    continue;
                }
                if !matches!(wakes.recv(), Ok(Wake::Asked | Wake::Ordered)) {
                    return;
                }
            }
        };
        Agent {
            wake,
            orderer,
            rounds,
            thread: Some(std::thread::spawn(run)),
            leader: said.recv().unwrap(),
        }
    }

    /// Gives an order, as `weir` does over the local socket.
    pub(crate) fn order(&self, order: Order) -> Answer {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.orderer.give(order))
        })
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
