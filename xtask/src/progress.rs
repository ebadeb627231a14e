//! Progress on standard error: bars and spinners on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// One piece of work that a person is waiting for.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: String,
    begun: Instant,
}

impl Progress {
    /// Work of unknown length.
    pub(crate) fn spinner(what: impl Into<String>) -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix} {wide_msg:.dim}");
        Self::new(ProgressBar::new_spinner(), style, what.into())
    }

    /// A download or a copy of so many bytes.
    pub(crate) fn bytes(what: impl Into<String>, total: u64) -> Self {
        let template = "{spinner} {prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
        let style = ProgressStyle::with_template(template).map(|style| style.progress_chars("=> "));
        Self::new(ProgressBar::new(total), style, what.into())
    }

    fn new(
        bar: ProgressBar,
        style: Result<ProgressStyle, indicatif::style::TemplateError>,
        what: String,
    ) -> Self {
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_prefix(what.clone());
        if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            eprintln!("weir: {what} ...");
        }
        Progress {
            bar,
            what,
            begun: Instant::now(),
        }
    }

    /// Shows what is going on right now.
    pub(crate) fn say(&self, now: &str) {
        self.bar.set_message(now.trim().to_owned());
    }

    /// Shows how far it is.
    pub(crate) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// The work is done.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
        eprintln!(
            "weir: {}: done in {}",
            self.what,
            HumanDuration(self.begun.elapsed())
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Says one thing to the person in front of the terminal.
pub(crate) fn say(what: impl AsRef<str>) {
    eprintln!("weir: {}", what.as_ref());
}
