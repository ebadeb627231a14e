//! A Prometheus server in a temporary directory, which ends with its handle.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http;

/// How long to wait for it to start and scrape. Only what never comes takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program of the directory that `WEIR_PROMETHEUS` names.
pub(crate) fn program(name: &str) -> PathBuf {
    let dir = std::env::var_os("WEIR_PROMETHEUS");
    PathBuf::from(dir.expect("`cargo xtask test metrics` sets WEIR_PROMETHEUS")).join(name)
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: String,
    dir: tempfile::TempDir,
}

/// One series of an answer.
#[derive(Debug)]
pub(crate) struct Found {
    labels: Value,
    pub(crate) value: f64,
}

impl Found {
    /// A label's value, empty if there is none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

impl Server {
    /// Starts one that scrapes `target` every second, as protobuf and as text.
    pub(crate) fn start(target: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let version = Command::new(program("prometheus"))
            .arg("--version")
            .output();
        let version = String::from_utf8(version.unwrap().stdout).unwrap();
        // The setting's name from version 3 on.
        let prefix = if version.contains("version 2.") {
            ""
        } else {
            "always_"
        };
        let config = dir.path().join("prometheus.yml");
        let settings = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n\
             - {{job_name: protobuf, {prefix}scrape_classic_histograms: true, \
             static_configs: [{{targets: [\"{target}\"]}}]}}\n\
             - {{job_name: text, scrape_protocols: [PrometheusText0.0.4], \
             static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
        std::fs::write(&config, settings).unwrap();
        // Free a moment ago: if somebody else takes it, the server says so and ends.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap().to_string();
        drop(port);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=native-histograms")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Server {
            child,
            address,
            dir,
        }
    }

    /// Asks until both jobs have been scraped and the answer holds something.
    pub(crate) fn wait_for(&self, query: &str) -> Vec<Found> {
        let begun = Instant::now();
        loop {
            if let (Ok(up), Ok(found)) = (self.try_ask("up == 1"), self.try_ask(query))
                && up.len() == 2
                && !found.is_empty()
            {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{query}: no answer\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Asks for what is the case now.
    pub(crate) fn ask(&self, query: &str) -> Vec<Found> {
        let answer = self.try_ask(query);
        answer.unwrap_or_else(|error| panic!("{query}: {error}\n{}", self.said()))
    }

    fn try_ask(&self, query: &str) -> std::io::Result<Vec<Found>> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = http::get(&self.address, &format!("/api/v1/query?query={escaped}"))?;
        let answer: Value = serde_json::from_str(&answer)?;
        let found = answer["data"]["result"].as_array();
        let found = found.ok_or_else(|| std::io::Error::other(answer.to_string()))?;
        let series = found.iter().map(|series| Found {
            labels: series["metric"].clone(),
            value: series["value"][1]
                .as_str()
                .and_then(|value| value.parse().ok())
                .unwrap_or(f64::NAN),
        });
        Ok(series.collect())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
