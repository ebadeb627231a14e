//! Whatever happens in whatever order: the node in memory refuses what must never be done (a file system made on data, a path beside
//! another host's, a directory removed that is mounted on), and in the end nothing is left.

use proptest::prelude::*;

use super::*;
use crate::node::host::fake::Death;

#[derive(Clone, Copy, Debug)]
enum Event {
    Ask(usize),
    Cut,
    Heal,
    GiveUp,
    Regrant,
    Die(Death),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_usize..4).prop_map(Event::Ask),
        1 => Just(Event::Cut),
        2 => Just(Event::Heal),
        1 => Just(Event::GiveUp),
        1 => Just(Event::Regrant),
        2 => (0_usize..6, any::<bool>()).prop_map(|(nth, is_before)| Event::Die(match is_before {
            true => Death::Before(nth),
            false => Death::After(nth),
        })),
        2 => Just(Event::Restart),
    ]
}

async fn storm(index: usize, events: Vec<Event>) {
    let mut scene = scenes().await.remove(index);
    scene.restart();
    for event in events {
        match event {
            // That it ends is all that is asked here.
            Event::Ask(number) => drop(scene.turn(number).await),
            Event::Cut => scene.host.cut(),
            Event::Heal => scene.host.heal(),
            Event::GiveUp if !scene.is_local => scene.host.give_up(),
            Event::Regrant if !scene.is_local => scene.regrant(),
            Event::GiveUp | Event::Regrant => {}
            Event::Die(death) => scene.host.die(death),
            Event::Restart => scene.restart(),
        }
    }
    scene.restart();
    scene.host.heal();
    scene.unpublish().await.unwrap();
    scene.unstage().await.unwrap();
    let left = scene
        .host
        .with(|world| (world.paths.len(), world.mounts.len(), world.files.len()));
    assert_eq!(left, (0, 0, 1));
    let marker = scene.marker();
    let is_used = scene.host.with(|world| world.was_mounted);
    let has_none =
        scene.capability.access_type == block(Mode::SingleNodeWriter).access_type || index % 6 == 2;
    assert!(has_none || !is_used || marker.is_some_and(|marker| marker.starts_with("formatted")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_left_and_nothing_is_lost(index in 0_usize..12, events in prop::collection::vec(event(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(storm(index, events));
    }
}
