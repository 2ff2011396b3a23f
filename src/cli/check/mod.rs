//! `mcp-operator check`: every rule of admission over files, without a cluster.

mod human;
mod load;
mod located;
mod verdict;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;

use clap::{Args, ValueEnum};

use self::verdict::{Checker, Verdict};

/// Something was rejected.
const REJECTED: u8 = 1;
/// A file could not be read or parsed.
const UNREADABLE: u8 = 2;

/// Check manifests as the webhooks would, without a cluster.
///
/// The documents are checked in the order given, each as if those before it had been applied. Exit code 0: nothing was
/// rejected; 1: something was; 2: a file could not be read or parsed.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A file, a folder (its .yaml, .yml and .json files), or - for standard input; may be given more than once
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", required = true)]
    filenames: Vec<String>,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t, env = "MCP_OPERATOR_CHECK_OUTPUT")]
    output: Output,
}

/// How to print what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people: each error with the line that it is about
    #[default]
    Human,
    /// For programs: one array, an entry a document
    Json,
}

/// Runs the command.
///
/// # Errors
/// Where the output could not be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    thread::scope(|scope| {
        let checking =
            thread::Builder::new().stack_size(located::STACK_BYTES).spawn_scoped(scope, || check(args))?;
        checking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut checker = Checker::default();
    let mut reports = Vec::new();
    let mut unreadable = false;
    let (mut out, mut complaints) = (io::stdout().lock(), io::stderr().lock());
    for filename in &args.filenames {
        let sources = match load::read(filename) {
            Ok(sources) => sources,
            Err(error) => {
                writeln!(complaints, "error: {error}")?;
                unreadable = true;
                continue;
            }
        };
        for source in sources {
            for document in load::documents(&source) {
                let document = match document {
                    Ok(document) => document,
                    Err(error) => {
                        writeln!(complaints, "error: {error}")?;
                        unreadable = true;
                        continue;
                    }
                };
                for report in checker.check(&source.name, &document) {
                    if args.output == Output::Human {
                        human::print(&mut out, &source, &report)?;
                    }
                    reports.push(report);
                }
            }
        }
    }
    match args.output {
        Output::Human => human::print_summary(&mut out, &reports)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &reports)?;
            writeln!(out)?;
        }
    }
    let rejected = reports.iter().any(|report| report.verdict == Verdict::Rejected);
    Ok(match (unreadable, rejected) {
        (true, _) => UNREADABLE.into(),
        (false, true) => REJECTED.into(),
        (false, false) => ExitCode::SUCCESS,
    })
}
