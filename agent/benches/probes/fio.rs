//! fio, as `cargo xtask bench probes` unpacked it.

use std::path::Path;
use std::process::Command;

/// How to run it: a command and its first arguments.
pub(crate) struct Fio(Vec<String>);

/// What it did.
pub(crate) struct Done {
    pub(crate) ios: u64,
    pub(crate) iops: f64,
}

/// A command in a variable that `cargo xtask bench probes` sets, its words separated by blanks.
pub(crate) fn command(variable: &str) -> Vec<String> {
    let words = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is missing: run `cargo xtask bench probes`"));
    words.split(' ').map(str::to_owned).collect()
}

impl Fio {
    pub(crate) fn from_env() -> Self {
        Fio(command("WEIR_FIO"))
    }

    /// Random reads of 4 KiB, 32 at once.
    pub(crate) fn read(&self, path: &Path, seconds: u32) -> Done {
        let runtime = format!("--runtime={seconds}");
        let arguments = [
            "--rw=randread",
            "--bs=4k",
            "--iodepth=32",
            "--time_based",
            &runtime,
        ];
        let report = self.run(path, &arguments);
        let read = &report["jobs"][0]["read"];
        Done {
            ios: read["total_ios"].as_u64().unwrap(),
            iops: read["iops"].as_f64().unwrap(),
        }
    }

    /// Writes all of a device, so that reads find something.
    pub(crate) fn fill(&self, path: &Path) {
        self.run(path, &["--rw=write", "--bs=1M", "--iodepth=4"]);
    }

    /// What it says of a load on a device.
    pub(crate) fn run(&self, path: &Path, arguments: &[&str]) -> serde_json::Value {
        let output = Command::new(&self.0[0])
            .args(&self.0[1..])
            .args([
                "--name=job",
                "--ioengine=libaio",
                "--direct=1",
                "--output-format=json",
            ])
            .arg(format!("--filename={}", path.display()))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "fio failed: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
