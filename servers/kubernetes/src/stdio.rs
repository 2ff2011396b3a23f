//! MCP over standard input and output.

use rmcp::ServiceExt;
use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::stdio;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::server::Server;

/// Why serving ended, where neither the client nor a signal ended it.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// What came in was not the beginning of MCP.
    #[error("no client could be served")]
    Initialize(#[source] Box<ServerInitializeError>),
    /// The task that serves panicked.
    #[error("serving failed")]
    Task(#[source] tokio::task::JoinError),
}

/// Serves the one client until it closes standard input, or until `ending`.
///
/// # Errors
/// [`StdioError`].
pub async fn serve(server: Server, ending: CancellationToken) -> Result<(), StdioError> {
    let running = match server.serve_with_ct(stdio(), ending).await {
        Ok(running) => running,
        // It left, or was asked to end, before it had said anything.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => return Ok(()),
        Err(error) => return Err(StdioError::Initialize(Box::new(error))),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Task(error)),
        Ok(_) => {
            info!("the client has gone");
            Ok(())
        }
    }
}
