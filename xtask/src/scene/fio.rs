//! fio, the referee: what it counted and how long it says its I/Os took.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A load of direct, synchronous 4 KiB I/Os at random places.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The device, opened by every job.
    pub(crate) device: String,
    /// Threads, each with one I/O outstanding.
    pub(crate) jobs: u32,
    /// Reads, or reads and writes.
    pub(crate) mix: Mix,
    /// When it ends.
    pub(crate) until: Until,
}

/// What a load does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mix {
    /// Half reads, half writes.
    Half,
    /// Reads only.
    Reads,
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After so many I/Os of each job.
    Ios(u32),
    /// After so many seconds.
    Seconds(u32),
}

/// What fio saw of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) ios: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p99_9_ns: u64,
}

/// What fio saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) read: Seen,
    pub(crate) write: Seen,
    pub(crate) errors: u64,
}

impl Load {
    /// The command line; the result is JSON on standard output.
    pub(crate) fn command(&self) -> String {
        let until = match self.until {
            Until::Ios(ios) => format!("--number_ios={ios}"),
            Until::Seconds(seconds) => format!("--time_based --runtime={seconds}"),
        };
        let mix = match self.mix {
            Mix::Half => "randrw",
            Mix::Reads => "randread",
        };
        // Errors are counted rather than ending the run: a test says how many it accepts.
        format!(
            "fio --name=load --filename={} --direct=1 --ioengine=psync --rw={mix} --bs=4k \
             --thread --numjobs={} --group_reporting {until} --continue_on_error=all \
             --randrepeat=0 --output-format=json",
            self.device, self.jobs
        )
    }
}

impl Outcome {
    /// Reads fio's JSON.
    pub(crate) fn parse(output: &str) -> Result<Self> {
        // fio may print warnings before its JSON.
        let json = output
            .find('{')
            .map(|start| &output[start..])
            .context("fio printed no JSON")?;
        let json: Value = serde_json::from_str(json).context("reading fio's JSON")?;
        let jobs = json["jobs"].as_array().context("fio's JSON has no jobs")?;
        ensure!(
            jobs.len() == 1,
            "fio reported {} jobs instead of one group",
            jobs.len()
        );
        let seen = |op: &str| -> Result<Seen> {
            let part = &jobs[0][op];
            let number = |value: &Value| value.as_u64();
            // Absent percentiles mean that there was no such I/O.
            let percentile = |name: &str| number(&part["clat_ns"]["percentile"][name]).unwrap_or(0);
            Ok(Seen {
                ios: number(&part["total_ios"])
                    .with_context(|| format!("no total_ios for {op}"))?,
                p50_ns: percentile("50.000000"),
                p99_ns: percentile("99.000000"),
                p99_9_ns: percentile("99.900000"),
            })
        };
        let errors = jobs[0]["total_err"]
            .as_u64()
            .context("fio's JSON has no total_err")?;
        Ok(Outcome {
            read: seen("read")?,
            write: seen("write")?,
            errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fios_json_is_read_after_its_warnings() {
        let json = r#"note: both iodepth >= 1 and synchronous I/O engine are selected
{"jobs": [{"total_err": 0,
  "read": {"total_ios": 3, "clat_ns": {"percentile": {"50.000000": 5, "99.000000": 7, "99.900000": 8}}},
  "write": {"total_ios": 0, "clat_ns": {}}}]}"#;
        let outcome = Outcome::parse(json).unwrap();
        assert_eq!(
            outcome.read,
            Seen {
                ios: 3,
                p50_ns: 5,
                p99_ns: 7,
                p99_9_ns: 8
            }
        );
        assert_eq!(outcome.write.ios, 0);
        assert_eq!(outcome.errors, 0);
    }
}
