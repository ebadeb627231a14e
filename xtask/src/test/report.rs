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

    /// Runs many short cases, one after the other. Each is printed as it ends; the results have one line for all that
    /// went well.
    pub(crate) fn story<S>(
        &mut self,
        title: &str,
        steps: impl IntoIterator<Item = (String, S)>,
        mut take: impl FnMut(S) -> Result<()>,
    ) {
        let (mut well, mut total) = (0, 0.0);
        for (name, step) in steps {
            let (seconds, outcome) = timed(&name, || take(step));
            if outcome.is_err() {
                self.ended(&name, (seconds, outcome));
                continue;
            }
            self.passed += 1;
            print_line(&ok(&name, seconds));
            well += 1;
            total += seconds;
        }
        self.line(format!("{title}: {well} commands ok ({total:.1} s)"));
    }

    fn ended<T>(&mut self, name: &str, (seconds, outcome): (f32, Result<T>)) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.passed += 1;
                self.line(ok(name, seconds));
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

fn ok(name: &str, seconds: f32) -> String {
    format!("test {name} ... ok ({seconds:.1} s)")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: the line of a failed step printed only.
    #[test]
    fn a_story_is_one_line_and_one_for_each_step_that_failed() {
        let mut report = Report::new();
        let steps = [("a", true), ("b", false), ("c", true)]
            .map(|(name, is_well)| (name.to_owned(), is_well));
        report.story("kubectl", steps, |is_well| match is_well {
            true => Ok(()),
            false => bail!("no"),
        });
        assert_eq!(
            report.lines(),
            [
                "test b ... FAILED (0.0 s)",
                "kubectl: 2 commands ok (0.0 s)",
                "2 passed, 1 failed"
            ],
        );
    }
}
