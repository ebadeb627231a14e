//! What a volume waits for that is in no pool, or on its way out of one.

use weir_api::condition::{READY, SCHEDULED, Truth, reason};
use weir_api::names::ObjectName;
use weir_api::volume::Phase;

use super::{BY_ITSELF, Look, Wait};
use crate::concern::Weight;
use crate::remedy;

/// It is being deleted.
pub(super) const DELETION: &str = "Deletion";

impl Look<'_> {
    pub(super) fn deletion(&self) -> Wait {
        let ordered = self
            .volume
            .metadata
            .deletion_timestamp
            .as_ref()
            .map(|time| time.0);
        let weight = self.if_long(ordered);
        let Some(pool) = &self.volume.spec.pool_name else {
            let message =
                "its deletion was ordered, and it is in no pool: its object is about to go";
            return self
                .no_leader()
                .unwrap_or_else(|| Wait::new(weight, DELETION, message, BY_ITSELF));
        };
        if self.status.phase == Phase::Deleted {
            let message = "its data is gone, and its object is about to go";
            return self
                .no_leader()
                .unwrap_or_else(|| Wait::new(weight, DELETION, message, BY_ITSELF));
        }
        match self.around.pool {
            None => self.no_pool(pool),
            Some(state) if !state.is_ready() => Wait::new(
                Some(Weight::Warning),
                DELETION,
                format!(
                    "its deletion was ordered; its data is in pool {pool}, which is not Ready: {}",
                    state.message
                ),
                state.next(),
            ),
            Some(_) => match self
                .condition(READY)
                .filter(|_| self.status.phase == Phase::Deleting)
            {
                Some(ready) if ready.reason != reason::WAITING => self.of(weight, ready),
                Some(ready) => Wait::new(
                    weight,
                    DELETION,
                    format!("its deletion was ordered: {}", ready.message),
                    BY_ITSELF,
                ),
                None => {
                    let message = "its deletion was ordered, and its agent has not begun yet";
                    Wait::new(weight, DELETION, message, BY_ITSELF)
                }
            },
        }
    }

    pub(super) fn unplaced(&self) -> Wait {
        match self.condition(SCHEDULED) {
            Some(told) if told.status != Truth::True => {
                let record = self.status.placement.as_ref();
                let filtered = record.map_or(&[][..], |record| &record.filtered);
                let steps = filtered.iter().map(|one| {
                    let step = remedy::of_filter(&one.filter, &one.examples);
                    format!("{} ({}): {step}", one.filter, one.count)
                });
                let mut wait = self.of(Some(Weight::Error), told);
                if told.reason == reason::NO_POOL_FITS {
                    wait.next = steps.collect();
                    if wait.next.is_empty() {
                        wait.next
                            .push("create a pool, or start an agent that has one".to_owned());
                    }
                }
                wait
            }
            _ => self.no_leader().unwrap_or_else(|| {
                let weight = self.if_long(self.created());
                Wait::new(
                    weight,
                    reason::WAITING,
                    "the controller has not chosen a pool yet",
                    BY_ITSELF,
                )
            }),
        }
    }

    pub(super) fn no_pool(&self, pool: &ObjectName) -> Wait {
        let message = format!("spec.poolName is {pool}, and there is no StoragePool of that name");
        let next = format!(
            "create the pool's object again (on its node `weir orphans ls` shows what is there); its data stays \
             where it is. kubectl get wpool lists the pools, kubectl describe wvol {} shows where it was",
            self.name
        );
        Wait::new(Some(Weight::Error), reason::POOL_NOT_FOUND, message, next)
    }
}
