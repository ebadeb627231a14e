//! How full thin pools are, as it is told: in whole percent, and not each time that it changes.
//!
//! A status is a write to the API, and a pool under load fills all the time. So a figure stands for a while, unless
//! things got worse in a way that somebody has to know at once; an idle pool's never changes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weir_api::names::ObjectName;

use crate::dm::thin_pool::Fill;
use crate::lvm::THIN_POOL;
use crate::lvm::report::LvKind;
use crate::observed::PoolView;

/// How long a figure stands.
const STANDS: Duration = Duration::from_secs(30);

/// What was told, and where to look.
#[derive(Debug, Default)]
pub(super) struct ThinPools {
    told: BTreeMap<ObjectName, Told>,
    /// The thin pools that the last look found, by their paths below `/dev/mapper`.
    paths: BTreeMap<ObjectName, String>,
    /// Whether they were asked in this round.
    is_asked: bool,
}

/// What was told of one.
#[derive(Clone, Copy, Debug)]
struct Told {
    fill: Fill,
    since: Instant,
}

impl Told {
    /// Whether it stands although this is seen now. What gets better can wait, or a pool that goes to and fro
    /// at its limit would be told each time.
    fn stands(&self, seen: &Fill, now: Instant) -> bool {
        let is_worse = seen.level > self.fill.level;
        *seen == self.fill || !is_worse && now.saturating_duration_since(self.since) < STANDS
    }
}

impl ThinPools {
    /// A round begins, in which they are asked once.
    pub(super) fn begin(&mut self) {
        self.is_asked = false;
    }

    /// Notes where thin pools are, as a look found it. Says whether they are to be asked.
    pub(super) fn note(&mut self, pools: &BTreeMap<ObjectName, PoolView>) -> bool {
        let paths = pools.iter().filter_map(|(name, view)| {
            let PoolView::Present(group) = view else {
                return None;
            };
            let lv = group.lvs.get(THIN_POOL)?;
            (lv.kind == LvKind::ThinPool).then(|| (name.clone(), lv.dm_path.clone()))
        });
        let paths = paths.collect();
        let is_due = !self.is_asked || paths != self.paths;
        self.paths = paths;
        self.told.retain(|name, _| self.paths.contains_key(name));
        self.is_asked = true;
        is_due
    }

    /// Where they are.
    pub(super) fn paths(&self) -> &BTreeMap<ObjectName, String> {
        &self.paths
    }

    /// What is to be told, after this was seen. Of what was not seen that is what was told before.
    pub(super) fn tell(
        &mut self,
        seen: BTreeMap<ObjectName, Fill>,
        now: Instant,
    ) -> BTreeMap<ObjectName, Fill> {
        for (name, fill) in seen {
            let told = self.told.get(&name);
            if !told.is_some_and(|told| told.stands(&fill, now)) {
                self.told.insert(name, Told { fill, since: now });
            }
        }
        let told = self.told.iter();
        told.map(|(name, told)| (name.clone(), told.fill)).collect()
    }

    /// Whether anything else would be told.
    pub(super) fn is_news(&self, seen: &BTreeMap<ObjectName, Fill>, now: Instant) -> bool {
        seen.iter().any(|(name, fill)| {
            let told = self.told.get(name);
            !told.is_some_and(|told| told.stands(fill, now))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::thin_pool::Level;
    use proptest::prelude::*;
    use weir_api::pool::ThinUsage;

    fn fill(data: u8, metadata: u8) -> Fill {
        let usage = ThinUsage {
            data_percent: data,
            metadata_percent: metadata,
        };
        let level = if usage.is_full() {
            Level::OutOfSpace
        } else if usage.is_over() {
            Level::NearlyFull
        } else {
            Level::Room
        };
        let usage = Some(usage);
        Fill { usage, level }
    }

    fn tell(pools: &mut ThinPools, fill: Fill, now: Instant) -> Fill {
        let name: ObjectName = "p".parse().unwrap();
        let seen = BTreeMap::from([(name.clone(), fill)]);
        let is_news = pools.is_news(&seen, now);
        let before = pools.told.get(&name).map(|told| told.fill);
        let told = pools.tell(seen, now)[&name];
        assert_eq!(is_news, Some(told) != before);
        told
    }

    /// Seen red with: `is_worse` in `stands` made `false`, and `STANDS` made zero.
    #[test]
    fn a_figure_stands_for_a_while_unless_a_limit_is_passed() {
        let start = Instant::now();
        let rows = [
            (0, (1, 1), (1, 1)),
            (10, (5, 1), (1, 1)),
            (30, (6, 1), (6, 1)),
            (31, (89, 1), (6, 1)),
            (32, (90, 1), (90, 1)),
            (33, (99, 1), (90, 1)),
            (34, (100, 1), (100, 1)),
            // What gets better waits.
            (35, (20, 1), (100, 1)),
            (63, (20, 1), (100, 1)),
            (64, (20, 1), (20, 1)),
            (65, (20, 80), (20, 80)),
        ];
        let mut pools = ThinPools::default();
        for (second, seen, expected) in rows {
            let now = start + Duration::from_secs(second);
            let told = tell(&mut pools, fill(seen.0, seen.1), now);
            assert_eq!(told, fill(expected.0, expected.1), "at {second} s");
        }
    }

    proptest! {
        /// Whatever a pool does: no limit that it has passed is not told, what is no getting worse is told 30 s after
        /// what was told before, and what stays is told in the end.
        #[test]
        fn a_limit_is_told_at_once_and_nothing_is_told_often(
            seen in proptest::collection::vec((0..=100u8, 0..=100u8, 1..20u64), 1..100),
        ) {
            let start = Instant::now();
            let mut pools = ThinPools::default();
            let (mut second, mut before, mut changes) = (0, None::<Fill>, Vec::new());
            for (data, metadata, pause) in seen {
                second += pause;
                let now = start + Duration::from_secs(second);
                let is = fill(data, metadata);
                let told = tell(&mut pools, is, now);
                prop_assert!(told.level >= is.level);
                if let Some(before) = before.replace(told).filter(|before| *before != told) {
                    changes.push((second, told.level > before.level));
                }
            }
            // Each that was no getting worse came 30 s after the one before.
            for pair in changes.windows(2) {
                prop_assert!(pair[1].1 || pair[1].0 >= pair[0].0 + 30);
            }
            let settled = start + Duration::from_secs(second + 30);
            let last = fill(7, 7);
            prop_assert_eq!(tell(&mut pools, last, settled), last);
        }
    }
}
