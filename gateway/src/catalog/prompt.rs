//! A prompt, ready to be filled in.

use std::collections::HashMap;

use mcp_crds::snapshot;
use mcp_crds::v1alpha1::PromptVariable;
use mcp_crds::validate::template::{Segment, Template};
use thiserror::Error;

use super::{Backends, BuildError};
use crate::upstream::Target;

/// What is wrong with the arguments of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PromptError {
    /// A required one is not there.
    #[error("missing required arguments: {}", .0.join(", "))]
    Missing(Vec<String>),
}

/// A prompt.
#[derive(Debug)]
pub struct Prompt {
    /// Its name.
    pub name: Box<str>,
    /// What it is for.
    pub description: Option<Box<str>>,
    /// Where its messages come from.
    pub source: Source,
    variables: Vec<PromptVariable>,
}

/// Where a prompt's messages come from.
#[derive(Debug)]
pub enum Source {
    /// One user message.
    Template(Vec<Part>),
    /// A Service that answers with the result.
    Service(Target),
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(Box<str>),
    /// A variable's value.
    Variable(Box<str>),
}

impl Prompt {
    pub(super) fn build(prompt: snapshot::Prompt, backends: &mut Backends<'_>) -> Result<Self, BuildError> {
        let source = match &prompt.source {
            snapshot::PromptSource::Template(text) => Source::Template(parts(text)),
            snapshot::PromptSource::Service(service) => {
                let target = Target::build(service, backends).ok_or_else(|| BuildError {
                    kind: "prompt",
                    name: prompt.name.clone(),
                    reason: "its service is none".to_owned(),
                });
                Source::Service(target?)
            }
        };
        Ok(Self {
            name: prompt.name.into(),
            description: prompt.description.map(Into::into),
            source,
            variables: prompt.variables,
        })
    }

    /// Whether it has an argument of this name.
    #[must_use]
    pub fn has_argument(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }

    /// Whether every required argument is there.
    ///
    /// # Errors
    /// Where one is not.
    pub fn check(&self, arguments: &HashMap<String, String>) -> Result<(), PromptError> {
        let is_missing = |variable: &&PromptVariable| {
            variable.required && variable.default.is_none() && !arguments.contains_key(&variable.name)
        };
        let missing: Vec<String> =
            self.variables.iter().filter(is_missing).map(|variable| variable.name.clone()).collect();
        if missing.is_empty() { Ok(()) } else { Err(PromptError::Missing(missing)) }
    }

    /// The message of a template. Values are put in as they are.
    #[must_use]
    pub fn render(&self, parts: &[Part], arguments: &HashMap<String, String>) -> String {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(name) => text.push_str(self.value(name, arguments)),
            }
        }
        text
    }

    fn value<'a>(&'a self, name: &str, arguments: &'a HashMap<String, String>) -> &'a str {
        let default = || self.variables.iter().find(|variable| variable.name == name)?.default.as_deref();
        arguments.get(name).map(String::as_str).or_else(default).unwrap_or_default()
    }
}

fn parts(text: &str) -> Vec<Part> {
    let part = |segment: &Segment<'_>| match segment {
        Segment::Text(text) => Part::Text((*text).into()),
        Segment::Placeholder(placeholder) => Part::Variable(placeholder.name.into()),
    };
    Template::parse(text).segments.iter().map(part).collect()
}
