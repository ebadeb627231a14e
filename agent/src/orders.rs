//! Orders that reach a running agent besides requests, and their answers. One thread, the engine's,
//! carries them out; whoever gives one waits for the answer.

use std::sync::mpsc::{self, Receiver, Sender};

use tokio::sync::oneshot;
use weir_api::cluster::{Accept, Clusters};
use weir_api::orphan::{Adopt, Done, Orphans, Remove};
use weir_api::pool::StoragePool;

use crate::wake::Wake;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say what nobody asks for.
    List,
    /// Bring something under management.
    Adopt(Adopt),
    /// Destroy an orphan.
    Remove(Remove),
    /// Say whose the pools are.
    Clusters,
    /// Take another cluster for their owner.
    Accept(Accept),
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What nobody asks for.
    Orphans(Orphans),
    /// Whose the pools are.
    Clusters(Clusters),
    /// This object is to be created in the API; then it is done.
    Create(Box<StoragePool>),
    /// It is done, durably.
    Done(Done),
    /// Nothing was changed, for this reason.
    Refused(String),
    /// It may or may not have been taken.
    Failed(String),
}

/// Orders as they come in, each with who waits for its answer.
pub type Orders = Receiver<(Order, oneshot::Sender<Answer>)>;

/// Gives orders.
#[derive(Clone)]
pub struct Orderer {
    orders: Sender<(Order, oneshot::Sender<Answer>)>,
    wake: Sender<Wake>,
}

/// A channel for orders; each wakes whoever listens to `wake`.
#[must_use]
pub fn channel(wake: Sender<Wake>) -> (Orderer, Orders) {
    let (orders, taken) = mpsc::channel();
    (Orderer { orders, wake }, taken)
}

impl Orderer {
    /// Gives an order and waits for its answer.
    pub async fn give(&self, order: Order) -> Answer {
        let stopped = || Answer::Failed("the agent is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        if self.orders.send((order, reply)).is_err() || self.wake.send(Wake::Ordered).is_err() {
            return stopped();
        }
        answer.await.unwrap_or_else(|_| stopped())
    }
}
