//! What an agent counts, as the controller that leads tells it: nothing is lost and nothing is there twice, though
//! leaders die.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Scene, agent};
use crate::exposition::Exposition;
use crate::scene::control_plane::{DIR, Parts};
use crate::scene::storage::{Agent, PATIENCE, POOL, get_of, scrape_of};
use crate::test::expect;
use crate::vm::guest::Guest;

/// A controller that leads when its turn comes.
struct Controller<'a> {
    guest: &'a Guest,
    number: u16,
}

impl<'a> Controller<'a> {
    fn start(guest: &'a Guest, number: u16) -> Result<Self> {
        let controller = Controller { guest, number };
        let command = format!(
            "{} --metrics {}",
            controller.command(),
            controller.metrics()
        );
        guest.spawn(&command, &controller.log_file())?;
        let answers = guest.wait_for(&get_of(&controller.metrics(), "/metrics"), PATIENCE);
        answers.map(drop).with_context(|| controller.log())?;
        Ok(controller)
    }

    fn command(&self) -> String {
        let port = 6500 + self.number;
        format!(
            "weir-controller --kubeconfig {DIR}/controller.kubeconfig --telemetry 127.0.0.1:{port}"
        )
    }

    fn metrics(&self) -> String {
        format!("127.0.0.1:{}", 9810 + self.number)
    }

    /// Ends it at once, as a crash would.
    fn kill(&self) -> Result<()> {
        let kill = format!(
            "killed=; for pid in $(pidof weir-controller); do \
               if tr '\\0' ' ' </proc/$pid/cmdline | grep -q -e '{} '; then kill -9 $pid; killed=$pid; fi; \
             done; test -n \"$killed\" && while kill -0 $killed 2>/dev/null; do sleep 0.02; done",
            self.command()
        );
        self.guest.sh(&kill).map(drop)
    }

    fn scrape(&self) -> Result<Exposition> {
        scrape_of(self.guest, &self.metrics(), "/metrics")
    }

    /// Waits until what it shows is as wanted.
    fn until(&self, what: &str, is_so: impl Fn(&Exposition) -> bool) -> Result<Exposition> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.scrape()?;
            if is_so(&seen) {
                return Ok(seen);
            }
            let ios = counted(&seen);
            ensure!(
                Instant::now() < deadline,
                "controller {} never had {what}; it counts {ios} I/Os; {}",
                self.number,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until three more reports came: all that was read before is in them.
    fn settle(&self) -> Result<Exposition> {
        let reports = |seen: &Exposition| seen.sum("weir_telemetry_reports_total", &[]);
        let begun = reports(&self.scrape()?);
        self.until("three more reports", |seen| reports(seen) >= begun + 3.0)
    }

    fn log_file(&self) -> String {
        format!("/run/weir/controller-{}.log", self.number)
    }

    fn log(&self) -> String {
        let log = self.guest.run(&format!("tail -n 40 {}", self.log_file()));
        let log = log.map(|output| output.stdout).unwrap_or_default();
        format!("its log ends with:\n{log}")
    }
}

/// The I/Os of the pool that a leader has counted in.
fn counted(seen: &Exposition) -> f64 {
    seen.sum("weir_telemetry_backend_ios_total", &[("pool", POOL)])
}

/// All that the agent itself has counted; every volume is in that pool.
fn measured(agent: &Agent<'_>) -> Result<f64> {
    let name = "weir_volume_io_stage_seconds_count";
    Ok(agent.scrape()?.sum(name, &[("stage", "backend")]))
}

/// The agent's own counters and a leader's grow by the same; and when that leader is killed, the next one has what was done
/// meanwhile, and nothing else. Every order of events is in `telemetry/tests`; here all the parts are real.
pub(super) fn arrives_once(scene: &Scene) -> Result<()> {
    let (plane, agent, guest) = (scene.plane(), agent(&scene.storage), &scene.storage.guest);
    plane.kill()?;
    plane.start(Parts::Api)?;
    let first = Controller::start(guest, 1)?;
    let is_fresh = |seen: &Exposition| {
        let age = seen.sum("weir_telemetry_age_seconds", &[("pool", POOL)]);
        age > 0.0 && age < 10.0
    };
    first.until("fresh telemetry of the pool", is_fresh)?;
    let fresh = "\"status\":\"True\",\"type\":\"TelemetryFresh\"";
    plane.wait(&format!("wpool {POOL}"), fresh)?;
    let told = counted(&first.settle()?);
    let before = measured(&agent)?;
    scene.read()?;
    let after = measured(&agent)?;
    ensure!(after >= before + 200.0, "{before} I/Os, then {after}");
    let wanted = told + after - before;
    let is_wanted = |seen: &Exposition| is_count(counted(seen), wanted);
    first.until(&format!("{wanted} I/Os"), is_wanted)?;
    expect("the first one's", &counted(&first.settle()?), &wanted)?;

    let second = Controller::start(guest, 2)?;
    first.kill()?;
    scene.read()?;
    let last = measured(&agent)?;
    ensure!(last >= after + 200.0, "{after} I/Os, then {last}");
    let wanted = last - after;
    let is_wanted = |seen: &Exposition| is_count(counted(seen), wanted);
    second.until(&format!("{wanted} I/Os"), is_wanted)?;
    expect("the second one's", &counted(&second.settle()?), &wanted)?;
    second.until("fresh telemetry of the pool", is_fresh)?;
    second.kill()?;
    plane.kill()?;
    plane.start(Parts::Both)?;
    plane.check_log()
}

/// Whether a figure, which is a whole number, is this one.
fn is_count(figure: f64, wanted: f64) -> bool {
    (figure - wanted).abs() < 0.5
}
