//! `plan`, `apply`, `clear`, `export`: from a file to the target, and back.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use nvmet::tree::{Entry, Kernel};
use nvmet::{Change, Check, Configfs, Nqn, Target, Tree, nvmetcli, plan};

use crate::created::Created;

/// How far a change may go.
#[derive(Args)]
pub(crate) struct Consent {
    /// Remove what this command didn't make without asking.
    #[arg(short, long)]
    yes: bool,
    /// Also change the address or parameters of ports in use, which takes all their subsystems off
    /// them for a moment.
    #[arg(long)]
    interrupt: bool,
    /// Ports may listen on every address of this machine (0.0.0.0, ::).
    #[arg(long)]
    allow_unspecified_address: bool,
    /// What this command made is noted here.
    #[arg(long, value_name = "FILE", default_value = crate::created::DEFAULT)]
    record: PathBuf,
}

/// The running kernel's tree, and how long it took for everything that was asked of it.
#[derive(Default)]
pub(crate) struct Timed {
    spent: Cell<Duration>,
}

/// What is to be done, and what of it needs consent.
struct Prepared {
    changes: Vec<Change>,
    foreign: Vec<String>,
    collateral: BTreeSet<Nqn>,
    created: Created,
}

/// Reads a wanted target: nvmetcli's JSON, or what `nvmet -o json ls` prints; `-` is stdin.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Target> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("{}: cannot be read", path.display()))?;
    let value = nvmetcli::parse(&text).with_context(|| path.display().to_string())?;
    if nvmetcli::is_nvmetcli(&value) {
        return nvmetcli::read_value(&value).with_context(|| path.display().to_string());
    }
    // Read from the text, where a key that is there twice is still seen. An error of serde's may
    // quote what it stumbled over.
    serde_json::from_str(&text).map_err(|error| {
        let message = error.to_string();
        let message = if message.contains("DHHC-1") {
            format!("a key where none belongs, at line {}", error.line())
        } else {
            message
        };
        anyhow::anyhow!("{}: {message}", path.display())
    })
}

/// Prints the target as nvmetcli would, or saves it.
pub(crate) fn export(root: &Path, file: Option<&Path>) -> anyhow::Result<(String, Value)> {
    let target = nvmet::read(root)?;
    let text = nvmetcli::write(&target);
    let unfinished = target.unfinished_ports.keys();
    let unfinished = unfinished.map(|id| format!("ports/{id}"));
    let left_out: Vec<String> = unfinished.chain(target.unmodelled).collect();
    for path in &left_out {
        let _ = writeln!(
            io::stderr(),
            "nvmet: {path} is not in it: nothing this program can represent"
        );
    }
    let Some(file) = file else {
        let value = nvmetcli::parse(&text)?;
        return Ok((text, value));
    };
    save(file, &text).with_context(|| format!("writing {}", file.display()))?;
    let json = json!({ "file": file, "left_out": left_out });
    Ok((format!("{}\n", file.display()), json))
}

/// Whole or not at all, and readable by its owner alone.
fn save(file: &Path, text: &str) -> io::Result<()> {
    let new = PathBuf::from(format!("{}.new", file.display()));
    let _ = fs::remove_file(&new);
    let mut options = fs::OpenOptions::new();
    let mut writer = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    writer.write_all(text.as_bytes())?;
    writer.sync_all()?;
    fs::rename(&new, file)
}

/// What `apply` would do.
pub(crate) fn show_plan(
    root: &Path,
    want: Target,
    consent: &Consent,
) -> anyhow::Result<(String, Value)> {
    let prepared = prepare(&configfs(root), want, consent)?;
    let Prepared {
        changes,
        foreign,
        collateral,
        ..
    } = &prepared;
    let mut text: String = changes.iter().map(|change| format!("{change}\n")).collect();
    if changes.is_empty() {
        text.push_str("# nothing to do\n");
    }
    if !collateral.is_empty() {
        text.push_str("# for a port's sake this interrupts, and needs --interrupt:\n");
        text.extend(collateral.iter().map(|nqn| format!("#   {nqn}\n")));
    }
    let noticed = noticed(changes);
    if !noticed.is_empty() {
        text.push_str("# hosts notice changes to:\n");
        text.extend(noticed.iter().map(|nqn| format!("#   {nqn}\n")));
    }
    if !foreign.is_empty() {
        text.push_str("# not made by this command, and so asked about:\n");
        text.extend(foreign.iter().map(|path| format!("#   {path}\n")));
    }
    let steps: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let json = json!({
        "steps": steps,
        "changes": changes,
        "interrupts": collateral,
        "noticed": noticed,
        "foreign": foreign,
    });
    Ok((text, json))
}

/// Brings the target to what is wanted.
pub(crate) fn apply(
    root: &Path,
    want: Target,
    consent: &Consent,
) -> anyhow::Result<(String, Value)> {
    let configfs = configfs(root);
    let mut prepared = prepare(&configfs, want, consent)?;
    if !prepared.collateral.is_empty() && !consent.interrupt {
        // The library refuses it too, but can't know what this command's flag is called.
        let error = configfs.apply(&prepared.changes).err();
        let error = error.map_or(anyhow::anyhow!("nothing to interrupt"), Into::into);
        return Err(error.context("give --interrupt to do it all the same"));
    }
    if !prepared.foreign.is_empty() && !consent.yes {
        ask(&prepared.foreign)?;
    }
    let changes = &prepared.changes;
    let applied = configfs.apply_interrupting(changes);
    // What was made is noted however it ended.
    prepared.created.note(changes)?;
    let outcome = applied?;
    let text = match changes.len() {
        0 => "nothing to do\n".to_owned(),
        1 => "1 change made\n".to_owned(),
        count => format!("{count} changes made\n"),
    };
    let json = json!({
        "outcome": outcome,
        "changes": changes.len(),
        "interrupted": prepared.collateral,
        "kernel_seconds": configfs.tree().spent.get().as_secs_f64(),
    });
    Ok((text, json))
}

/// A target without anything; the discovery subsystem gets its own name back.
pub(crate) fn nothing(root: &Path) -> anyhow::Result<Target> {
    let have = nvmet::read(root)?;
    let discovery: Nqn = "nqn.2014-08.org.nvmexpress.discovery".parse()?;
    Ok(Target {
        discovery_nqn: have.discovery_nqn.map(|_| discovery),
        ..Target::default()
    })
}

fn configfs(root: &Path) -> Configfs<Timed> {
    Configfs::of(Timed::default(), root)
}

fn prepare(
    configfs: &Configfs<Timed>,
    mut want: Target,
    consent: &Consent,
) -> anyhow::Result<Prepared> {
    let have = configfs.read()?;
    // What this program can't represent stays, and what is wanted must not collide with it.
    want.unmodelled.clone_from(&have.unmodelled);
    let check = Check {
        allow_unspecified_address: consent.allow_unspecified_address,
        have: Some(&have),
    };
    check.run(&want)?;
    let changes = plan(&have, &want);
    let collateral = changes.iter().filter_map(|change| match change {
        Change::Interrupt { subsystem, .. } => Some(subsystem.clone()),
        _ => None,
    });
    let created = Created::load(&consent.record, configfs.root())?;
    Ok(Prepared {
        collateral: collateral.collect(),
        foreign: created.foreign(&changes),
        created,
        changes,
    })
}

fn noticed(changes: &[Change]) -> BTreeSet<&Nqn> {
    // Nobody uses what is new, except what goes and comes back.
    let is_new = |nqn: &&Nqn| {
        let made = |change: &Change| matches!(change, Change::CreateSubsystem { subsystem } if subsystem == *nqn);
        let removed = |change: &Change| matches!(change, Change::RemoveSubsystem { subsystem } if subsystem == *nqn);
        changes.iter().any(made) && !changes.iter().any(removed)
    };
    let noticed = changes.iter().filter(|change| change.interrupts());
    noticed
        .filter_map(Change::subsystem)
        .filter(|nqn| !is_new(nqn))
        .collect()
}

/// Asks on the terminal; without one, that is a no.
fn ask(foreign: &[String]) -> anyhow::Result<()> {
    let list = foreign.join("\n  ");
    if !io::stdin().is_terminal() {
        bail!(
            "this would remove what this command didn't make; give --yes if that is meant:\n  {list}"
        );
    }
    let mut stderr = io::stderr().lock();
    write!(
        stderr,
        "This removes what this command didn't make:\n  {list}\nRemove it? [y/N] "
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    bail!("nothing was changed")
}

impl Timed {
    fn time<R>(&self, ask: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let answer = ask();
        self.spent.set(self.spent.get() + begun.elapsed());
        answer
    }
}

impl Tree for Timed {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.time(|| Kernel.list(directory))
    }

    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
        self.time(|| Kernel.read(attribute))
    }

    fn write(&self, attribute: &Path, value: &[u8]) -> io::Result<()> {
        self.time(|| Kernel.write(attribute, value))
    }

    fn mkdir(&self, directory: &Path) -> io::Result<()> {
        self.time(|| Kernel.mkdir(directory))
    }

    fn rmdir(&self, directory: &Path) -> io::Result<()> {
        self.time(|| Kernel.rmdir(directory))
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.time(|| Kernel.symlink(target, link))
    }

    fn unlink(&self, link: &Path) -> io::Result<()> {
        self.time(|| Kernel.unlink(link))
    }

    fn is_block_device(&self, device: &Path) -> io::Result<bool> {
        self.time(|| Kernel.is_block_device(device))
    }

    fn kernel(&self) -> String {
        Kernel.kernel()
    }
}
