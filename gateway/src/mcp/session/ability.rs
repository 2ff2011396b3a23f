//! What clients say that they can do.

use serde_json::value::RawValue;

use super::super::message::{Params, meta};
use crate::json::Members;

/// Something that a server may need from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mcp) enum Ability {
    Sampling,
    Elicitation,
    Roots,
}

impl Ability {
    const ALL: [Self; 3] = [Self::Sampling, Self::Elicitation, Self::Roots];

    /// The capability that declares it.
    pub(in crate::mcp) const fn as_str(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Roots => "roots",
        }
    }

    /// What a request to a client needs; `None` where it is no such request.
    pub(in crate::mcp) fn needed_for(method: &str) -> Option<Self> {
        match method {
            "sampling/createMessage" => Some(Self::Sampling),
            "elicitation/create" => Some(Self::Elicitation),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }
}

/// What a client can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::mcp) struct Abilities(u8);

impl Abilities {
    /// From the `capabilities` of a client.
    pub(in crate::mcp) fn read(capabilities: Option<&RawValue>) -> Self {
        let members = capabilities.and_then(|text| Members::parse(text.get()).ok()).unwrap_or_default();
        let bits = Ability::ALL.into_iter().filter(|ability| members.has(ability.as_str()));
        Self(bits.fold(0, |bits, ability| bits | 1 << ability as u8))
    }

    /// From the `_meta` of a modern request.
    pub(in crate::mcp) fn of_modern(params: &Params) -> Self {
        Self::read(meta(params).and_then(|meta| meta.capabilities))
    }

    pub(in crate::mcp) const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u8) != 0
    }

    /// As a number, for keeping.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// From what [`Self::bits`] gave.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}
