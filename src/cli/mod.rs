//! The command line.

pub mod check;
pub mod crds;
pub mod run;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Model Context Protocol servers on Kubernetes.
///
/// Every flag can also be given as the environment variable that its help names; the flag wins.
#[derive(Debug, Parser)]
#[command(name = "mcp-operator", version = crate::VERSION, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Check(check::CheckArgs),
    Crds(crds::CrdsArgs),
    /// Print the version, and the commit it was built from
    Version,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(*args).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(&args),
        Command::Crds(args) => crds::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Version => {
            let said = writeln!(io::stdout(), "mcp-operator {} ({})", crate::VERSION, crate::COMMIT);
            said.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    done.unwrap_or_else(|error| {
        if is_closed_output(&error) {
            return ExitCode::from(CLOSED_OUTPUT);
        }
        // Where nobody reads that, the exit code says it.
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The exit code where whoever read the output has seen enough, as `head` does: what a shell gives to who was ended by SIGPIPE.
const CLOSED_OUTPUT: u8 = 128 + 13;

fn is_closed_output(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_also_an_environment_variable_and_is_explained() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            for flag in command.get_arguments().filter(|flag| flag.get_long().is_some()) {
                let name = format!("{} --{}", command.get_name(), flag.get_long().unwrap());
                assert!(flag.get_help().is_some(), "{name} has no help");
                if command.get_name() != "run" {
                    continue;
                }
                let expected =
                    format!("MCP_OPERATOR_{}", flag.get_long().unwrap().replace('-', "_").to_uppercase());
                let variable = flag.get_env().map(|variable| variable.to_string_lossy().into_owned());
                assert_eq!(variable, Some(expected), "{name}");
            }
        }
    }
}
