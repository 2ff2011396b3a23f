//! The server, asked by the SDK's own client.

use rmcp::model::{ClientConfig, ErrorCode, ProtocolVersion, ReadResourceRequestParams};
use rmcp::service::{RunningService, ServiceError};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceExt};

use super::*;
use crate::api_server::{answering, error};

/// A client in front of a server whose account may do nothing.
async fn connect(lifecycle: ClientLifecycleMode) -> RunningService<RoleClient, ClientConfig> {
    let (kubernetes, _) = answering(|_, _| error(403, "User \"nobody\" cannot do that"));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = Server::new("test", kubernetes).unwrap();
    // Ends with its side of the pipe.
    tokio::spawn(async move { server.serve(far).await.unwrap().waiting().await });
    ClientConfig::default().serve_with_lifecycle(near, lifecycle).await.unwrap()
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

#[track_caller]
fn code(error: ServiceError) -> (ErrorCode, String) {
    match error {
        ServiceError::McpError(error) => (error.code, error.message.into_owned()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn everything_is_listed_in_both_generations() {
    for lifecycle in [modern(), ClientLifecycleMode::Initialize] {
        let client = connect(lifecycle).await;
        assert_eq!(client.list_all_tools().await.unwrap().len(), 3);
        assert_eq!(client.list_all_resources().await.unwrap().len(), 1);
        assert_eq!(client.list_all_resource_templates().await.unwrap().len(), 1);
        assert_eq!(client.list_all_prompts().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_is_not_there_is_the_callers_mistake_and_what_is_refused_is_not() {
    let client = connect(modern()).await;
    let (unknown, said) = code(client.call_tool(CallToolRequestParams::new("exec")).await.unwrap_err());
    assert_eq!(unknown, ErrorCode::INVALID_PARAMS);
    assert_eq!(said, "no such tool: there are create-pod, get-pod-logs, delete-pod");
    let (unknown, _) = code(client.get_prompt(GetPromptRequestParams::new("exec")).await.unwrap_err());
    assert_eq!(unknown, ErrorCode::INVALID_PARAMS);

    let nodes = ReadResourceRequestParams::new("k8s://cluster/nodes");
    let (refused, said) = code(client.read_resource(nodes).await.unwrap_err());
    assert_eq!(refused, ErrorCode::INTERNAL_ERROR);
    assert!(said.contains("nobody may not list nodes. A ClusterRole with"), "{said}");
}
