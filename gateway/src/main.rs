//! The gateway's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_gateway::cli::main()
}
