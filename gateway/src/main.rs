//! The gateway's binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A call is many small allocations; docs/gateway-performance.md says what this one saves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    mcp_gateway::cli::main()
}
