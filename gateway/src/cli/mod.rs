//! The command line.

pub mod install;
pub mod probe;
pub mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Serves tools, prompts and resources over the Model Context Protocol.
///
/// Every flag can also be given as the environment variable that its help names; the flag wins.
#[derive(Debug, Parser)]
#[command(name = "mcp-gateway", version = crate::VERSION, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::ServeArgs>),
    Probe(probe::ProbeArgs),
    Install(install::InstallArgs),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::serve(*args),
        Command::Probe(args) => probe::probe(&args),
        Command::Install(args) => install::install(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
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
                let long = flag.get_long().unwrap();
                assert!(flag.get_help().is_some(), "--{long} has no help");
                let expected = format!("MCP_GATEWAY_{}", long.replace('-', "_").to_uppercase());
                let variable = flag.get_env().map(|variable| variable.to_string_lossy().into_owned());
                assert_eq!(variable, Some(expected), "--{long}");
            }
        }
    }
}
