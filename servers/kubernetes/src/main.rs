//! The server's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_k8s_server::cli::main()
}
