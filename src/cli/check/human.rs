//! Verdicts for people: each error with the line that it is about, as a compiler shows it.

use std::io::{self, Write};

use super::load::Source;
use super::verdict::{Complaint, Report, Verdict};

/// Longer lines are cut around the column.
const MAX_LINE_CHARS: usize = 110;

/// Prints what is to be said of one document; nothing where there is nothing.
pub(super) fn print(out: &mut impl Write, source: &Source, report: &Report) -> io::Result<()> {
    if report.verdict == Verdict::Rejected {
        match report.kind.as_str() {
            "" => writeln!(out, "An item of a list is invalid:")?,
            kind => writeln!(out, "The {kind} \"{}\" is invalid:", report.name)?,
        }
    }
    for error in &report.errors {
        writeln!(out, "error: {}: {}", error.field, error.message)?;
        print_line(out, source, error)?;
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {}: {} \"{}\": {warning}", report.file, report.kind, report.name)?;
    }
    Ok(())
}

/// Prints how many documents there were of each verdict.
pub(super) fn print_summary(out: &mut impl Write, reports: &[Report]) -> io::Result<()> {
    let count = |verdict| reports.iter().filter(|report| report.verdict == verdict).count();
    let (accepted, rejected, skipped) =
        (count(Verdict::Accepted), count(Verdict::Rejected), count(Verdict::Skipped));
    let warnings: usize = reports.iter().map(|report| report.warnings.len()).sum();
    writeln!(out, "{accepted} accepted, {rejected} rejected, {skipped} skipped, {warnings} warnings")
}

fn print_line(out: &mut impl Write, source: &Source, error: &Complaint) -> io::Result<()> {
    let margin = " ".repeat(error.line.to_string().len());
    writeln!(out, "{margin}--> {}:{}:{}", source.name, error.line, error.column)?;
    let index = usize::try_from(error.line).unwrap_or_default().saturating_sub(1);
    let Some(line) = source.text.lines().nth(index) else { return Ok(()) };
    let column = usize::try_from(error.column).unwrap_or_default().saturating_sub(1);
    let from = if column > MAX_LINE_CHARS { column - MAX_LINE_CHARS / 2 } else { 0 };
    let shown: String =
        line.chars().skip(from).take(MAX_LINE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    writeln!(out, "{margin} |")?;
    writeln!(out, "{} | {shown}", error.line)?;
    writeln!(out, "{margin} | {}^", " ".repeat(column - from))
}
