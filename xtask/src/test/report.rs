//! What ran and how it ended.

use std::thread::ScopedJoinHandle;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};

/// A case's name, and what it does.
pub(crate) type Case<'a, T> = (String, Box<dyn FnOnce() -> Result<T> + Send + 'a>);

/// Counts cases and prints each as it ends.
pub(crate) struct Report {
    begun: Instant,
    lines: Vec<String>,
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Report {
            begun: Instant::now(),
            lines: Vec::new(),
            passed: 0,
            failed: Vec::new(),
        }
    }

    /// Runs one case.
    pub(crate) fn case(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        self.need(name, run);
    }

    /// Runs a case whose result others need.
    pub(crate) fn need<T>(&mut self, name: &str, run: impl FnOnce() -> Result<T>) -> Option<T> {
        self.ended(name, timed(name, run))
    }

    /// Runs cases at the same time; each is reported once all have ended.
    pub(crate) fn side_by_side<T: Send>(&mut self, cases: Vec<Case<'_, T>>) -> Vec<Option<T>> {
        let panicked = |_| (0.0, Err(anyhow!("its thread panicked")));
        let ended: Vec<_> = std::thread::scope(|scope| {
            let begun = cases.into_iter().map(|(name, run)| {
                let of = name.clone();
                (name, scope.spawn(move || timed(&of, run)))
            });
            let begun: Vec<_> = begun.collect();
            let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(panicked);
            begun
                .into_iter()
                .map(|(name, thread)| (name, join(thread)))
                .collect()
        });
        let reported = ended.into_iter().map(|(name, of)| self.ended(&name, of));
        reported.collect()
    }

    fn ended<T>(&mut self, name: &str, (seconds, outcome): (f32, Result<T>)) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.passed += 1;
                self.line(format!("test {name} ... ok ({seconds:.1} s)"));
                Some(value)
            }
            Err(error) => {
                self.failed.push(name.to_owned());
                self.line(format!("test {name} ... FAILED ({seconds:.1} s)"));
                eprintln!("{error:#}");
                None
            }
        }
    }

    /// A figure that a reader of the results will want.
    pub(crate) fn figure(&mut self, line: String) {
        self.line(line);
    }

    /// All lines so far, and the closing one.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.clone();
        lines.push(self.closing());
        lines
    }

    /// Prints the closing line; an error if anything failed.
    pub(crate) fn close(self) -> Result<()> {
        for name in &self.failed {
            eprintln!("weir: failed: {name}");
        }
        eprintln!("weir: {:.0} s", self.begun.elapsed().as_secs_f32());
        print_line(&self.closing());
        if self.failed.is_empty() && self.passed > 0 {
            return Ok(());
        }
        bail!(
            "{} of {} cases failed",
            self.failed.len(),
            self.passed + self.failed.len()
        )
    }

    fn closing(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed.len())
    }

    fn line(&mut self, line: String) {
        print_line(&line);
        self.lines.push(line);
    }
}

/// Says that a case begins and runs it; the seconds it took, and how it ended.
fn timed<T>(name: &str, run: impl FnOnce() -> Result<T>) -> (f32, Result<T>) {
    eprintln!("weir: {name} ...");
    let begun = Instant::now();
    let outcome = run();
    (begun.elapsed().as_secs_f32(), outcome)
}

#[expect(
    clippy::print_stdout,
    reason = "a test runner's result is its standard output"
)]
fn print_line(line: &str) {
    println!("{line}");
}
