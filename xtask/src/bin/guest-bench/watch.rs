//! The agent, watched while nothing happens: its memory, its CPU time and that of the commands it
//! runs, and how soon it tells of an LV that vanished.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::node::{DIR, lv};
use crate::run;

const LISTEN: &str = "127.0.0.1:9806";
/// How often a Prometheus would come by.
const SCRAPE: Duration = Duration::from_secs(15);
/// How long the agent may take to claim everything, in an emulated guest.
const CLAIM: Duration = Duration::from_secs(1200);
/// How long it may take to tell of an LV that vanished.
const PATIENCE: Duration = Duration::from_secs(600);
/// The volume whose LV vanishes.
const VICTIM: u32 = 3;

/// Lets the agent claim the node, and watches it for so many seconds.
pub(crate) fn watch(volumes: u32, seconds: u64, device: &str) -> Result<Value> {
    let mut agent = start()?;
    let watched = claimed(&mut agent, volumes).and_then(|claim| {
        let mut seen = idle(&agent, seconds, device)?;
        seen["claim_seconds"] = json!(claim.as_secs_f64());
        Ok(seen)
    });
    agent.kill()?;
    agent.wait()?;
    watched.with_context(|| fs::read_to_string(log()).unwrap_or_default())
}

fn log() -> String {
    format!("{DIR}/agent.log")
}

fn start() -> Result<Child> {
    let log = File::create(log())?;
    let dir = |name: &str| Path::new(DIR).join(name);
    Command::new("weir-agent")
        .args([
            "run",
            "--node",
            "bench-node",
            "--listen",
            LISTEN,
            "--requests",
        ])
        .arg(dir("requests"))
        .arg("--record")
        .arg(dir("record"))
        .arg("--status")
        .arg(dir("status"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("starting weir-agent")
}

/// Waits until every volume is ready and the agent has nothing left to do.
fn claimed(agent: &mut Child, volumes: u32) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        ensure!(agent.try_wait()?.is_none(), "the agent ended");
        let ready = scrape().map_or(0, |text| text.matches("phase=\"Ready\"} 1").count());
        if ready == volumes as usize {
            let took = begun.elapsed();
            // Its next looks find nothing to do.
            std::thread::sleep(Duration::from_secs(70));
            return Ok(took);
        }
        if begun.elapsed() > CLAIM {
            bail!("{ready} of {volumes} volumes are ready");
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

fn idle(agent: &Child, seconds: u64, device: &str) -> Result<Value> {
    let (begun, before) = (Instant::now(), times(agent)?);
    let length = Duration::from_secs(seconds);
    let (mut rss, mut scrapes) = (0, 0u32);
    let mut vanished: Option<(Instant, Option<Duration>)> = None;
    let mut last = String::new();
    while begun.elapsed() < length {
        if begun.elapsed() >= SCRAPE * scrapes {
            last = scrape().context("scraping")?;
            scrapes += 1;
            rss = rss.max(resident(agent)?);
        }
        if vanished.is_none() && begun.elapsed() >= length / 2 {
            run("lvremove", &["--devices", device, "--yes", &lv(VICTIM)])?;
            vanished = Some((Instant::now(), None));
        }
        if let Some((since, told @ None)) = &mut vanished
            && says_gone()
        {
            *told = Some(since.elapsed());
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    let after = times(agent)?;
    let map_bytes = last
        .lines()
        .find_map(|line| line.strip_prefix("weir_probe_map_bytes "));
    let told = vanished.map(|(since, told)| told.map_or_else(|| wait_told(since), Ok));
    let told = told.transpose()?;
    Ok(json!({
        "wall_seconds": begun.elapsed().as_secs_f64(),
        "own_cpu_seconds": after.0 - before.0,
        "children_cpu_seconds": after.1 - before.1,
        "rss_mib": rss as f64 / 1024.0,
        "scrapes": scrapes,
        "scrape_bytes": last.len(),
        "map_bytes_here": map_bytes.and_then(|text| text.trim().parse::<f64>().ok()),
        "told_after_seconds": told.map(|told| told.as_secs_f64()),
    }))
}

/// Waits for it beyond the time that is measured, where that was short.
fn wait_told(since: Instant) -> Result<Duration> {
    while !says_gone() {
        ensure!(since.elapsed() < PATIENCE, "nobody told of the vanished LV");
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(since.elapsed())
}

/// Whether the victim's status says that its data is missing.
fn says_gone() -> bool {
    let status = fs::read_to_string(format!("{DIR}/status/volume-v{VICTIM}.json"));
    status.is_ok_and(|text| text.contains("DataMissing"))
}

/// CPU seconds of the agent, and of the children it has waited for (proc_pid_stat(5)).
fn times(agent: &Child) -> Result<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", agent.id()))?;
    let (_, rest) = text.rsplit_once(')').context("no name in stat")?;
    // From the third field on: utime is the 14th.
    let fields: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .flat_map(str::parse)
        .collect();
    let [user, system, user_children, system_children] = fields[..] else {
        bail!("no times in {text}")
    };
    // USER_HZ is 100 on every Linux.
    Ok((
        (user + system) / 100.0,
        (user_children + system_children) / 100.0,
    ))
}

/// Resident memory in KiB.
fn resident(agent: &Child) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", agent.id()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.context("no VmRSS")?.split_whitespace().next();
    words.context("no number")?.parse().context("VmRSS")
}

fn scrape() -> Result<String> {
    let mut stream = TcpStream::connect(LISTEN)?;
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    ensure!(
        text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"),
        "{text}"
    );
    Ok(text)
}
