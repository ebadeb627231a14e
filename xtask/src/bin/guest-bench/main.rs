//! What an idle agent costs, measured inside a guest: a node with many volumes is made without the
//! agent, which then claims it, and is watched.
//!
//! `guest-bench agent DEVICE ADDRESS VOLUMES SECONDS` prints one object with what was seen.
//! `guest-bench spin` prints the CPU seconds of some fixed work: guest against host, that tells how
//! much slower the guest's CPU is.

#[path = "../../inside.rs"]
mod inside;
mod node;
mod watch;

use std::process::ExitCode;

use anyhow::Result;

use inside::{run, say};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["agent", device, address, volumes, seconds] => agent(device, address, volumes, seconds),
        ["spin"] => spin().map(|seconds| say(format!("{seconds}"))),
        _ => Err(anyhow::anyhow!("usage: see the source")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn agent(device: &str, address: &str, volumes: &str, seconds: &str) -> Result<()> {
    let volumes: u32 = volumes.parse()?;
    let before = spin()?;
    node::make(device, address, volumes)?;
    let mut seen = watch::watch(volumes, seconds.parse()?, device)?;
    seen["spin_seconds"] = serde_json::json!(f64::midpoint(before, spin()?));
    say(seen);
    Ok(())
}

/// Work of the kind that an agent does: JSON, and small files.
fn spin() -> Result<f64> {
    let file = "/dev/shm/guest-bench";
    std::fs::write(file, "0\n")?;
    let items: Vec<String> = (0..40)
        .map(|number| format!("\"key-{number}\": [{number}, true, \"text\"]"))
        .collect();
    let text = format!("{{{}}}", items.join(","));
    let begun = cpu_time()?;
    for _ in 0..5_000 {
        let value: serde_json::Value = serde_json::from_str(&text)?;
        std::hint::black_box(value.to_string());
        std::hint::black_box(std::fs::read(file)?);
    }
    let spent = cpu_time()? - begun;
    std::fs::remove_file(file)?;
    Ok(spent)
}

fn cpu_time() -> Result<f64> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(std::time::Duration::from(time).as_secs_f64())
}
