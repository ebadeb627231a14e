//! The clone this command was built from, and what is built in it.

use std::cell::OnceCell;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cache::Cache;
use crate::command::Cmd;
use crate::setup::{self, BpfTools};

/// The target triple of eBPF objects.
const BPF_TARGET: &str = "bpfel-unknown-none";

/// The directory of the clone in which cargo was called, which tells it to what it runs. It need not be the one in
/// which this program was built: clones that share a target directory share what is built there.
pub(crate) fn root() -> Result<PathBuf> {
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = told.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let root = xtask.parent().context("xtask has no parent")?;
    Ok(root.to_owned())
}

/// A clone, with what every cargo call in it must be given.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    probes: PathBuf,
    /// See [`Workspace::for_vms`], and what keeps others out of it.
    vms: OnceCell<(PathBuf, File)>,
}

impl Workspace {
    /// Opens the clone and builds its eBPF object, which the agent embeds.
    pub(crate) fn open(cache: &Cache) -> Result<Self> {
        let root = root()?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        let tools = setup::bpf_tools(cache)?;
        let probes = target.join(BPF_TARGET).join("bpf/weir-probes");
        let workspace = Workspace {
            root,
            target,
            probes,
            vms: OnceCell::new(),
        };
        workspace.build_probes(&tools)?;
        Ok(workspace)
    }

    /// The clone's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where build results go.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// What nodes install besides programs.
    pub(crate) fn deploy(&self) -> PathBuf {
        self.root.join("deploy")
    }

    /// Where what goes into VMs is made, and their consoles are logged: `vm`, or `vm-2` and so on where other runs use
    /// those before.
    pub(crate) fn for_vms(&self) -> Result<PathBuf> {
        let mut number = 1;
        while self.vms.get().is_none() {
            let name = match number {
                1 => "vm".to_owned(),
                number => format!("vm-{number}"),
            };
            let dir = self.target.join(name);
            let making = || format!("making {}", dir.display());
            std::fs::create_dir_all(&dir).with_context(making)?;
            let lock = File::create(dir.join("lock")).with_context(making)?;
            match lock.try_lock() {
                Ok(()) => drop(self.vms.set((dir, lock))),
                Err(TryLockError::WouldBlock) => number += 1,
                Err(TryLockError::Error(error)) => return Err(error).with_context(making),
            }
        }
        let vms = self.vms.get().map(|(dir, _)| dir.clone());
        vms.context("no directory for VMs")
    }

    /// A cargo call that embeds the eBPF object. All calls agree on it, so that none of them makes
    /// another's results stale.
    pub(crate) fn cargo(&self) -> Cmd {
        Cmd::new("cargo")
            .dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("WEIR_BPF_OBJECT", &self.probes)
    }

    /// A cargo call that runs an integration test.
    ///
    /// This one and those that build what tests run select the whole workspace, dev-dependencies included (an
    /// example is one that needs them, whether there is any or not): cargo finds one set of features for all of
    /// them then, and builds each crate once.
    pub(crate) fn test(&self, name: &str) -> Cmd {
        let test = ["test", "--workspace", "--test", name];
        self.cargo().args(test)
    }

    /// Builds the programs that go into guests; returns their paths.
    pub(crate) fn programs(&self) -> Result<Vec<PathBuf>> {
        let names = ["weir-agent", "weir", "nvmet", "guest-io", "guest-crash"];
        self.built(&names)
    }

    /// Builds weir-controller as tests run it; its path.
    pub(crate) fn controller(&self) -> Result<PathBuf> {
        let built = self.built(&["weir-controller"])?.pop();
        built.context("it was built")
    }

    fn built(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let build = ["build", "--workspace", "--bins", "--examples"];
        self.cargo().args(build).show()?;
        let debug = self.target.join("debug");
        Ok(names.iter().map(|name| debug.join(name)).collect())
    }

    /// Builds optimised programs, each given with its package; returns their paths.
    pub(crate) fn optimised(&self, programs: &[(&str, &str)]) -> Result<Vec<PathBuf>> {
        let named = programs
            .iter()
            .flat_map(|(package, program)| ["-p", *package, "--bin", *program]);
        let cargo = self.cargo().args(["build", "--release"]);
        cargo.args(named.collect::<Vec<_>>()).show()?;
        let release = self.target.join("release");
        Ok(programs
            .iter()
            .map(|(_, name)| release.join(name))
            .collect())
    }

    /// Builds an integration test; a copy of its program under the test's own name.
    pub(crate) fn test_program(&self, test: &str) -> Result<PathBuf> {
        let flags = ["-q", "--no-run", "--message-format=json"];
        let cargo = self.test(test).args(flags);
        let built = cargo.read()?;
        let mut messages = built
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mine = |message: &Value| {
            message["target"]["name"] == test && message["executable"].is_string()
        };
        let built = messages.rfind(mine).context("cargo built no such test")?;
        let program = built["executable"]
            .as_str()
            .context("cargo named no program")?;
        let copy = self.for_vms()?.join(test);
        std::fs::copy(program, &copy).with_context(|| format!("copying {program}"))?;
        Ok(copy)
    }

    /// `core` has to be built for eBPF, which stable cargo does only when told that it is the
    /// compiler's own build (RUSTC_BOOTSTRAP); see ARCHITECTURE.md.
    fn build_probes(&self, tools: &BpfTools) -> Result<()> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            std::iter::once(tools.bin.clone()).chain(std::env::split_paths(&path)),
        )?;
        Cmd::new("cargo")
            .dir(&self.root)
            .args([
                "build",
                "-p",
                "weir-agent-ebpf",
                "--bin",
                "weir-probes",
                "--features",
                "bpf",
            ])
            .args([
                "--profile",
                "bpf",
                "-Zbuild-std=core",
                "--target",
                BPF_TARGET,
            ])
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "RUSTFLAGS",
                "-C debuginfo=2 -C target-cpu=v3 -C link-arg=--btf",
            )
            .env("PATH", path)
            .show()
            .context("building the eBPF programs")
    }
}
