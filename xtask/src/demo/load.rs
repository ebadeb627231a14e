//! fio on the demo's volumes.

use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cluster::Cluster;
use super::volume::Volume;
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::vm::guest::Guest;

/// How long a load may be held up, besides the time it takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// fio on every volume, each where it is used; `meanwhile` is called about once a second.
pub(super) fn on_all(
    volumes: &[Volume],
    cluster: &Cluster<'_>,
    seconds: u32,
    mut meanwhile: impl FnMut(Duration) -> Result<()>,
) -> Result<Vec<Outcome>> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let start = |volume| scope.spawn(move || on(volume, volume.user(cluster), seconds));
        let running: Vec<_> = volumes.iter().map(start).collect();
        while running.iter().any(|fio| !fio.is_finished()) {
            meanwhile(begun.elapsed())?;
            std::thread::sleep(Duration::from_secs(1));
        }
        running.into_iter().map(joined).collect()
    })
}

fn on(volume: &Volume, guest: &Guest, seconds: u32) -> Result<Outcome> {
    Outcome::parse(&guest.sh_within(&load(volume, seconds).command(), PATIENCE)?)
}

fn joined(fio: ScopedJoinHandle<'_, Result<Outcome>>) -> Result<Outcome> {
    fio.join()
        .unwrap_or_else(|_| bail!("fio's thread panicked"))
}

fn load(volume: &Volume, seconds: u32) -> Load {
    Load {
        device: volume.device.clone(),
        jobs: 1,
        mix: Mix::Half,
        until: Until::Seconds(seconds),
    }
}

/// fio on one volume, which goes on while other nodes come and go.
pub(super) struct Background;

impl Background {
    const OUTPUT: &str = "/tmp/fio.json";

    pub(super) fn start(volume: &Volume, guest: &Guest, seconds: u32) -> Result<Self> {
        let command = load(volume, seconds).command();
        guest.spawn(&command, Self::OUTPUT)?;
        Ok(Background)
    }

    /// What it saw, once it has ended.
    pub(super) fn wait(self, guest: &Guest) -> Result<Outcome> {
        let ended = format!("! pidof fio >/dev/null && cat {}", Self::OUTPUT);
        let output = guest.wait_for(&ended, PATIENCE);
        Outcome::parse(&output.context("fio did not go on")?)
    }
}
