//! How full thin pools are: what is told of it, and when.

use std::time::{Duration, Instant};

use weir_api::condition::{self, THIN_POOL_FULL, reason};
use weir_api::pool::ThinUsage;

use super::*;

impl World {
    /// What device mapper says of the thin pool from now on.
    fn fill(&self, data: u64, metadata: u64) {
        self.thin_says(&format!("1 {metadata}/1000 {data}/1000 - rw d q - 1024"));
    }

    fn thin_says(&self, status: &str) {
        let mut state = self.sim.lock();
        let status = status.to_owned();
        state.thin_status.insert("vg0".to_owned(), status);
    }

    /// What the loop does each time: looks, if a glance would not do.
    fn glance(&mut self, now: Instant) -> bool {
        self.engine.begins(now);
        let is_news = self.engine.has_thin_news();
        if is_news {
            self.round();
        }
        is_news
    }

    fn told(&self) -> Option<(u8, u8)> {
        let told = |thin: ThinUsage| (thin.data_percent, thin.metadata_percent);
        self.pool("fast").thin.map(told)
    }

    fn full(&self) -> Option<Condition> {
        let status = self.pool("fast");
        condition::get(&status.conditions, THIN_POOL_FULL).cloned()
    }
}

fn thin(volume_name: &str, number: u128) -> Volume {
    let mut volume = volume(volume_name, number);
    volume.spec.provisioning = Provisioning::Thin;
    volume
}

/// Seen red with: `has_thin_news` made to return `false`; `allocated` made to count thin volumes as nothing.
#[test]
fn a_pool_tells_how_full_it_is_and_what_it_has_promised() {
    let mut world = World::new();
    assert_eq!(world.told(), Some((0, 2)));
    assert_eq!(
        world.pool("fast").allocated_bytes.map(|bytes| bytes.0),
        Some(0)
    );
    world.ask(&thin("t", 1));
    world.ask(&volume("v", 2));
    world.settle();
    // Both are rounded up to extents.
    let promised = 2 * EXTENT + 2 * EXTENT;
    let allocated = world.pool("fast").allocated_bytes.map(|bytes| bytes.0);
    assert_eq!(allocated, Some(promised));
    assert_eq!((world.told(), world.full()), (Some((0, 2)), None));

    let start = Instant::now() + Duration::from_secs(60);
    world.fill(501, 11);
    assert!(world.glance(start));
    assert_eq!((world.told(), world.full()), (Some((51, 2)), None));
    // It goes on filling, and is not told at once.
    world.fill(880, 11);
    assert!(!world.glance(start + Duration::from_secs(29)));
    world.round();
    assert_eq!(world.told(), Some((51, 2)));
    // A limit is.
    world.fill(891, 11);
    assert!(world.glance(start + Duration::from_secs(29)));
    assert_eq!(world.told(), Some((90, 2)));
    let full = world.full().unwrap();
    assert_eq!(full.reason, reason::THIN_POOL_NEARLY_FULL);
    for word in ["90 %", "lvextend --size +SIZE vg0/weir_thin", "fstrim"] {
        assert!(full.message.contains(word), "{}", full.message);
    }
    // The pool is served on, and a glance is enough as before.
    assert_eq!(world.pool_reason("fast", condition::READY).0, Truth::True);
    assert!(world.engine.rests_on().is_some());

    world.fill(100, 11);
    assert!(!world.glance(start + Duration::from_secs(58)));
    assert!(world.glance(start + Duration::from_secs(59)));
    assert_eq!((world.told(), world.full()), (Some((10, 2)), None));
}

/// Seen red with: `fill.usage` in `pool_status` replaced by figures of a clock (its microseconds).
#[test]
fn an_idle_pool_says_nothing_new() {
    let mut world = World::new();
    world.ask(&thin("t", 1));
    world.settle();
    let statuses = world.engine.statuses().clone();
    let writes = world.sim.fs.writes();
    let start = Instant::now();
    for minute in 1..=10 {
        let now = start + Duration::from_secs(60 * minute);
        assert!(!world.glance(now), "in minute {minute}");
        world.round();
    }
    assert_eq!(world.engine.statuses(), &statuses);
    assert_eq!(world.sim.fs.writes(), writes);
}

/// Seen red with: `is_metadata_over` left out of `ThinUsage::is_over`.
#[test]
fn each_way_to_be_full_says_what_to_do() {
    let rows = [
        (
            "1 801/1000 0/1000 - rw d q - 1024",
            reason::THIN_POOL_NEARLY_FULL,
            "--poolmetadatasize",
        ),
        (
            "1 11/1000 1000/1000 - out_of_data_space d q - 1024",
            reason::THIN_POOL_OUT_OF_SPACE,
            "--size",
        ),
        (
            "1 11/1000 0/1000 - ro d q needs_check 1024",
            reason::THIN_POOL_BROKEN,
            "lvconvert --repair",
        ),
        ("Fail", reason::THIN_POOL_BROKEN, "lvconvert --repair"),
    ];
    for (status, reason, word) in rows {
        let mut world = World::new();
        world.thin_says(status);
        world.round();
        let full = world
            .full()
            .unwrap_or_else(|| panic!("nothing said of {status}"));
        assert_eq!(full.reason, reason);
        assert!(full.message.contains(word), "{}", full.message);
        assert_eq!(world.told().is_some(), status != "Fail");
    }
}

/// The thin pool is inactive after a reboot, until something in it is used.
#[test]
fn what_is_not_known_is_not_said() {
    let mut world = World::new();
    world.fill(950, 11);
    world.round();
    assert!(world.full().is_some());
    // What can't be read leaves what was told.
    world.thin_says("?");
    world.round();
    assert_eq!(world.told(), Some((95, 2)));
    world.sim.reboot();
    world.restart();
    world.round();
    assert_eq!((world.told(), world.full()), (None, None));
}

/// Only where there is a thin pool is device mapper asked about any.
#[test]
fn a_node_without_thin_pools_runs_no_command_more() {
    let mut world = World::empty();
    let kernel = r#""thinPool": {"capacityBytes": 67108864}"#;
    let plain = POOL.replace(kernel, r#""stripes": null"#);
    assert_ne!(plain, POOL);
    world.put("fast", &plain);
    world.settle();
    assert!(!world.engine.has_thin_news());
    assert_eq!(world.told(), None);
    let commands = world.sim.lock().commands.clone();
    assert!(!commands.iter().any(|cmd| cmd.starts_with("dmsetup status")));
}
