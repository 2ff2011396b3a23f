//! The rules for schemas, held against the JSON Schema Test Suite, generated schemas and the tools of public servers.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod json_schema_generated;
mod json_schema_suite;
mod support;
mod tool_corpus;
