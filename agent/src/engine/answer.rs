//! Carrying out orders: each ends in something durable before it is answered.

use weir_api::cluster::Accept;
use weir_api::orphan::{Adopt, Done, Remove};
use weir_api::parse::{Request, print};

use super::Engine;
use crate::chain;
use crate::cluster::{self, ClusterId, heeded};
use crate::durable;
use crate::orders::{Answer, Order};
use crate::orphans::Sight;
use crate::record::Records;
use crate::requests::Requests;

impl Engine {
    /// Carries out an order, given what is asked for now.
    pub fn answer(&mut self, order: &Order, requests: &Requests) -> Answer {
        let records = match self.parts.store.load() {
            Ok(records) => records,
            Err(error) => return Answer::Refused(chain(&error)),
        };
        // Not as they are heeded: a foreign cluster's are what these are about.
        match order {
            Order::Clusters => return Answer::Clusters(cluster::known(requests, &records)),
            Order::Accept(Accept { cluster }) => {
                let answer = self.accept(ClusterId(*cluster), requests, &records);
                tracing::info!(?order, ?answer, "order");
                return answer;
            }
            Order::List | Order::Adopt(_) | Order::Remove(_) => {}
        }
        let requests = &*heeded(requests, &records);
        let observed = self.observe(requests, &records, true);
        let sight = Sight {
            node: &self.parts.node.name,
            requests,
            records: &records,
            observed: &observed,
        };
        let answer = match order {
            Order::List => return Answer::Orphans(sight.orphans()),
            Order::Adopt(order) => self.adopt(&sight, order),
            Order::Remove(order) => self.remove(&sight, order),
            // Answered above.
            Order::Clusters | Order::Accept(_) => return Answer::Failed("not answered".to_owned()),
        };
        tracing::info!(?order, ?answer, "order");
        answer
    }

    fn accept(&self, wanted: ClusterId, requests: &Requests, records: &Records) -> Answer {
        let pools = match cluster::accepted(wanted, requests, records) {
            Ok(pools) => pools,
            Err(why) => return Answer::Refused(why),
        };
        for pool in &pools {
            if let Err(error) = self.parts.store.write_pool(pool) {
                return Answer::Failed(format!("{}; order it again", chain(&error)));
            }
        }
        let mut message = format!(
            "{} pools of this node belong to cluster {wanted} now, and its API is heeded",
            records.pools.len()
        );
        if pools.is_empty() {
            message.push_str("; that was so before");
        }
        Answer::Done(Done { message, id: None })
    }

    fn adopt(&self, sight: &Sight<'_>, order: &Adopt) -> Answer {
        let (request, message) = match sight.adopt(order) {
            Ok(wanted) => wanted,
            Err(why) => return Answer::Refused(why),
        };
        let (text, stem, id) = match &request {
            Request::Pool(pool) => {
                let stem = format!("storagepool-{}", pool.metadata.name);
                (print(pool), stem, None)
            }
            Request::Volume(volume) => {
                let stem = format!("volume-{}", volume.metadata.name);
                (print(volume), stem, Some(volume.spec.id))
            }
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => return Answer::Refused(error),
        };
        let Some(dir) = &self.parts.requests else {
            // An agent may create its own pools, and no volumes.
            return match request {
                Request::Pool(pool) => Answer::Create(Box::new(pool)),
                Request::Volume(_) => Answer::Refused(format!(
                    "give this order to the API (weir orphans adopt with --kubeconfig), or apply this there: \
                     {message}\n\n{text}"
                )),
            };
        };
        let fs = self.parts.fs.as_ref();
        let there = match fs.list(dir) {
            Ok(there) => there,
            Err(error) => return Answer::Refused(format!("`{}`: {error}", dir.display())),
        };
        let names = (0..).map(|number| match number {
            0 => format!("{stem}.yaml"),
            number => format!("{stem}-{number}.yaml"),
        });
        let mut free = names.filter(|name| !there.contains(name));
        let file = dir.join(free.next().unwrap_or_default());
        match durable::replace(fs, &file, text.as_bytes()) {
            Ok(()) => Answer::Done(Done {
                message: format!("{message}: {}", file.display()),
                id,
            }),
            Err(error) => Answer::Failed(format!("`{}`: {error}", file.display())),
        }
    }

    fn remove(&self, sight: &Sight<'_>, Remove { id }: &Remove) -> Answer {
        let record = match sight.remove(*id) {
            Ok(record) => record,
            Err(why) => return Answer::Refused(why),
        };
        match self.parts.store.write_volume(&record) {
            Ok(()) => Answer::Done(Done {
                message: format!(
                    "the deletion of volume {} ({id}) is recorded; it is removed now",
                    record.name
                ),
                id: Some(*id),
            }),
            Err(error) => Answer::Failed(chain(&error)),
        }
    }
}
