//! The controller, as a process of its own beside the API.

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use weir_controller::control::Settings;

/// The process.
pub(crate) struct Leader {
    child: Child,
}

impl Leader {
    /// Starts it, for the API of this directory.
    pub(crate) fn start(dir: &Path) -> Self {
        let log = File::create(dir.join("controller.log")).unwrap();
        let program = env::var_os("WEIR_CONTROLLER");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_weir-controller").into());
        let child = Command::new(program)
            .arg("--kubeconfig")
            .arg(dir.join("controller.kubeconfig"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Leader {
            child: child.unwrap(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the controller ended with {status}");
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// How often it renewed its own lease in this time: no agent wrote that.
pub(crate) fn renewals(seconds: f64) -> f64 {
    seconds / Settings::new("").renew.as_secs_f64()
}
