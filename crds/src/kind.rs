//! The four kinds, by name.

use std::fmt;

/// The API group of all four kinds.
pub const GROUP: &str = "mcp.example.com";
/// Their version.
pub const VERSION: &str = "v1alpha1";
/// `GROUP/VERSION`, as it stands in a manifest.
pub const API_VERSION: &str = "mcp.example.com/v1alpha1";

/// One of the four kinds of this API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `MCPServer`
    Server,
    /// `MCPTool`
    Tool,
    /// `MCPPrompt`
    Prompt,
    /// `MCPResource`
    Resource,
}

impl Kind {
    /// All four, in the order in which the documentation names them.
    pub const ALL: [Self; 4] = [Self::Server, Self::Tool, Self::Prompt, Self::Resource];

    /// What servers select: every kind but the server.
    pub const SELECTED: [Self; 3] = [Self::Tool, Self::Prompt, Self::Resource];

    /// The kind as a manifest says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "MCPServer",
            Self::Tool => "MCPTool",
            Self::Prompt => "MCPPrompt",
            Self::Resource => "MCPResource",
        }
    }

    /// The resource as a URL says it.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Server => "mcpservers",
            Self::Tool => "mcptools",
            Self::Prompt => "mcpprompts",
            Self::Resource => "mcpresources",
        }
    }

    /// What a sentence calls one: `tool "search"`.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }

    /// The kind of this name, if it is one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind of this plural, if it is one of ours.
    #[must_use]
    pub fn from_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
