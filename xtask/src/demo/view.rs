//! What a person sees: a latency table that is drawn over itself, and a histogram.

use std::fmt::Write;
use std::io::IsTerminal;

use crate::exposition::Buckets;
use crate::scene::fio::Seen;

/// Stages in the order of an I/O's life.
pub(super) const STAGES: [&str; 7] = [
    "total",
    "fabric_wait",
    "queue",
    "device",
    "dm",
    SUM,
    "response",
];
/// The three before it: a table has no room for what can be added up.
const SUM: &str = "backend";
/// Operations that fio does.
pub(super) const OPS: [&str; 2] = ["read", "write"];

/// Standard error; on a terminal, each table takes the place of the one before.
pub(super) struct View {
    drawn: usize,
    terminal: bool,
}

impl View {
    pub(super) fn new() -> Self {
        View {
            drawn: 0,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Draws a table. Elsewhere than on a terminal, only tables that end a run are worth reading:
    /// those with fio's column filled.
    pub(super) fn show(&mut self, table: &str) {
        if self.terminal && self.drawn > 0 {
            // Cursor to the beginning of the line so many lines up, erase all below (ECMA-48 CPL,
            // ED).
            eprint!("\x1b[{}F\x1b[J", self.drawn);
        }
        if self.terminal || table.contains(FIO) {
            eprint!("{table}");
            self.drawn = table.lines().count();
        }
    }

    /// Draws something that stays.
    pub(super) fn show_below(&mut self, text: &str) {
        eprint!("{text}");
        self.drawn = 0;
    }
}

/// What precedes fio's own figures.
const FIO: &str = "fio: ";

/// The head of a latency table.
pub(super) fn header() -> String {
    let stages: Vec<_> = shown(&STAGES, |stage| stage)
        .map(|stage| format!("{stage:>17}"))
        .collect();
    format!(
        "\n{:<14} {:<9} {:<6} {:>7}  {}\n",
        "p50 / p99 of",
        "path",
        "op",
        "I/Os",
        stages.join(" ")
    )
}

/// Those that a table has.
fn shown<T>(stages: &[T], name: impl Fn(&T) -> &str) -> impl Iterator<Item = &T> {
    stages.iter().filter(move |stage| name(stage) != SUM)
}

/// One volume and operation, and what fio says about it once it is done.
pub(super) fn row(
    volume: &str,
    path: &str,
    op: &str,
    stages: &[(&str, Buckets)],
    fio: Option<Seen>,
) -> String {
    let cells: Vec<_> = shown(stages, |(stage, _)| stage)
        .map(
            |(_, buckets)| match (buckets.quantile_ns(0.5), buckets.quantile_ns(0.99)) {
                (Some(p50), Some(p99)) => {
                    format!("{:>17}", format!("{} / {}", time(p50), time(p99)))
                }
                _ => format!("{:>17}", "-"),
            },
        )
        .collect();
    let count = stages.first().map_or(0, |(_, total)| total.count());
    let mut row = format!(
        "{volume:<14} {path:<9} {op:<6} {count:>7}  {}",
        cells.join(" ")
    );
    if let Some(fio) = fio {
        let _ = write!(row, "   {FIO}{} / {}", time(fio.p50_ns), time(fio.p99_ns));
    }
    row + "\n"
}

/// Bars, one per power of two.
pub(super) fn histogram(title: &str, buckets: &Buckets) -> String {
    const WIDTH: u64 = 48;
    let mut octaves: Vec<(u64, u64)> = Vec::new();
    for (bound, count) in buckets.single() {
        if count == 0 || !bound.is_finite() {
            continue;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a latency"
        )]
        let octave = ((bound * 1e9).round() as u64).next_power_of_two();
        match octaves.last_mut() {
            Some((last, sum)) if *last == octave => *sum += count,
            _ => octaves.push((octave, count)),
        }
    }
    let most = octaves
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(1)
        .max(1);
    let mut drawn = format!("\n{title}\n");
    for (octave, count) in octaves {
        let bar = usize::try_from((count * WIDTH).div_ceil(most)).unwrap_or(0);
        let _ = writeln!(
            drawn,
            "  up to {:>8} {:>7}  {}",
            time(octave),
            count,
            "█".repeat(bar)
        );
    }
    drawn + "\n"
}

/// Nanoseconds in the unit a person would choose.
fn time(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a latency")]
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.0} µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.1} s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_in_the_unit_that_fits() {
        assert_eq!(time(1_024), "1 µs");
        assert_eq!(time(52_428_800), "52.4 ms");
        assert_eq!(time(2_000_000_000), "2.0 s");
    }

    #[test]
    fn a_row_has_a_cell_for_every_stage() {
        let stages = STAGES.map(|stage| (stage, Buckets::default()));
        let row = row("v", "local", "read", &stages, None);
        assert_eq!(row.matches(" -").count(), STAGES.len() - 1);
    }
}
