//! A scenario, lived through with one strategy.

use std::collections::VecDeque;
use std::time::Duration;

use crate::draw::{Stream, stream};
use crate::event::Event;
use crate::measure::Measured;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::strategy::Strategy;
use crate::world::World;

/// Lives through a scenario.
pub(crate) fn run(scenario: &'static Scenario, seed: u64, strategy: &mut dyn Strategy) -> Measured {
    let mut world = World::new(scenario, seed, strategy.hears());
    let mut on_its_way: VecDeque<(Duration, Vec<Report>)> = VecDeque::new();
    let mut existing = stream(seed, Stream::Existing, 0);
    while let Some((now, event)) = world.events.next(scenario.length) {
        match event {
            Event::Create(index) if world.tenants[index].is_existing => {
                let pool = existing.usize(..world.pools.len());
                if world.pools[pool].free() >= world.tenants[index].size {
                    bind(&mut world, strategy, index, pool, now);
                }
            }
            Event::Create(index) => {
                if let Some(lifetime) = world.tenants[index].lifetime {
                    world.events.put(now + lifetime, Event::End(index));
                }
                if !place(&mut world, strategy, index, now) {
                    world.waiting.push(index);
                }
            }
            Event::Start(index) => world.start(index, now),
            Event::Burst(index) => world.burst(index, now),
            Event::End(index) => {
                if let Some(pool) = world.end(index, now) {
                    strategy.gone(pool, index, &world.tenants[index]);
                }
            }
            Event::Limp(pool) => world.limp(pool, now),
            Event::Collect { pool, stamp } => world.collect(pool, stamp, now),
            Event::Collected(pool) => world.collected(pool, now),
            Event::Wander(pool) => world.wander(pool, now),
            Event::Report => {
                let told = world.report(now);
                on_its_way.push_back((now, told));
                let heard = now + scenario.telemetry.late;
                world.events.put(heard, Event::Hear(now));
            }
            Event::Hear(at) => {
                while on_its_way.front().is_some_and(|(told, _)| *told <= at) {
                    let told = on_its_way.pop_front().map(|(_, told)| told);
                    for report in told.unwrap_or_default() {
                        strategy.hear(&report, now);
                    }
                }
            }
            Event::Window => {
                world.window(now);
                let waiting = std::mem::take(&mut world.waiting);
                for index in waiting {
                    if !place(&mut world, strategy, index, now) {
                        world.waiting.push(index);
                    }
                }
            }
        }
    }
    world.finish()
}

/// Whether a pool was chosen for a volume.
fn place(world: &mut World, strategy: &mut dyn Strategy, index: usize, now: Duration) -> bool {
    let Some(pool) = strategy.choose(world, index, now) else {
        return false;
    };
    assert!(
        world.pools[pool].free() >= world.tenants[index].size,
        "a pool was chosen that has no room"
    );
    bind(world, strategy, index, pool, now);
    true
}

fn bind(world: &mut World, strategy: &mut dyn Strategy, index: usize, pool: usize, now: Duration) {
    world.bind(index, pool, now);
    strategy.bound(pool, index, &world.tenants[index], now);
}
