//! The plugin dies at every effect of every request; the request made again leads where an undisturbed one does.

use super::*;
use crate::node::host::fake::Death;
use crate::objects::fake::Trouble;

/// The scenes, twice: one to disturb and one to compare with.
async fn pair(index: usize) -> (Scene, Scene) {
    (scenes().await.remove(index), scenes().await.remove(index))
}

/// Seen red with: `is_made` true from the beginning.
#[tokio::test(start_paused = true)]
async fn a_request_that_was_interrupted_anywhere_and_made_again_ends_as_one_that_was_not() {
    let mut all = 0;
    for index in 0..scenes().await.len() {
        for number in 0..4 {
            for nth in 0..20 {
                let mut deaths = 0;
                for death in [Death::Before(nth), Death::After(nth)] {
                    let (mut scene, calm) = pair(index).await;
                    for earlier in 0..number {
                        scene.turn(earlier).await.unwrap();
                        calm.turn(earlier).await.unwrap();
                    }
                    calm.turn(number).await.unwrap();
                    scene.host.die(death);
                    let answer = scene.turn(number).await;
                    if scene.host.revive() {
                        deaths += 1;
                        assert!(answer.is_err());
                    }
                    scene.restart();
                    scene.turn(number).await.unwrap();
                    assert_eq!(
                        scene.host.outcome(),
                        calm.host.outcome(),
                        "request {number}, {death:?}, scene {index}"
                    );
                    // And the others after it.
                    for later in number + 1..4 {
                        scene.turn(later).await.unwrap();
                    }
                    let (paths, mounts) = scene
                        .host
                        .with(|world| (world.paths.len(), world.mounts.len()));
                    assert_eq!((paths, mounts), (0, 0));
                }
                all += deaths;
                // It has no effect of this number.
                if deaths == 0 {
                    break;
                }
            }
        }
    }
    assert!(all > 100, "{all} interruptions");
}

/// The same for writes to the API: the notes before and after mkfs.
#[tokio::test(start_paused = true)]
async fn notes_that_are_lost_or_unheard_are_made_again() {
    for trouble in [Trouble::Lost, Trouble::Unheard, Trouble::Raced] {
        for nth in 0..2 {
            let mut scene = Scene::ext4().await;
            // Undisturbed writes before it: those to an object's annotations are such.
            if nth == 1 {
                scene.host.die(Death::After(2));
                assert!(scene.stage().await.is_err());
                scene.restart();
            }
            scene.cluster.trouble(&[trouble]);
            let first = scene.stage().await;
            if first.is_err() {
                scene.restart();
                scene.stage().await.unwrap();
            }
            assert!(scene.marker().unwrap().starts_with("formatted ext4 "));
            scene.publish().await.unwrap();
        }
    }
}

/// A move while mkfs was not finished: it is made anew, with the same UUID, and only since nobody ever mounted it.
///
/// Seen red with: the marker's `formatting` not noted.
#[tokio::test(start_paused = true)]
async fn an_unfinished_file_system_is_finished_by_whoever_comes() {
    let mut scene = Scene::ext4().await;
    // Two connections, mkfs; then it dies.
    scene.host.die(Death::After(2));
    assert!(scene.stage().await.is_err());
    let begun = scene.marker().unwrap();
    assert!(begun.starts_with("formatting ext4 "), "{begun}");
    scene.restart();
    scene.unstage().await.unwrap();
    scene.regrant();
    scene.stage().await.unwrap();
    assert_eq!(
        scene.marker().unwrap(),
        begun.replace("formatting", "formatted")
    );
}
