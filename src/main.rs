//! The operator's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_operator::cli::main()
}
