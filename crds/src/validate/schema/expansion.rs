//! How far references multiply.
//!
//! `{"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}` doubles the work of validating, and forty such schemas in a
//! row, each referring to the next, make a thousand years of it. Compiling has the same trouble with `unevaluatedProperties`,
//! and with resources that refer to each other. A schema of two kilobytes would so stop everything that has to use it.

use std::collections::{HashMap, HashSet};
use std::ptr;

use serde_json::Value;

/// One value may be checked by this many schemas, one counted as often as it is reached. A validator does about ten in a
/// microsecond.
const MAX_SCHEMAS: usize = 10_000;

/// The same over all schemas with `unevaluatedProperties` or `unevaluatedItems`, each of which is compiled with its own
/// copy of what it reaches, in some microseconds each.
const MAX_UNEVALUATED: usize = 20_000;

/// The same over the ways from one resource to another: each is compiled on its own.
const MAX_BETWEEN_RESOURCES: usize = 50_000;

/// How many steps are taken to find out.
const MAX_STEPS: usize = 1_000_000;

/// References may follow upon each other this often before anything else comes.
const MAX_CHAIN: usize = 1_000;

/// With no more references than these, no bound can be reached.
const FEW: usize = 16;

/// The references of a document.
#[derive(Debug, Default)]
pub(super) struct References<'v> {
    /// From a schema to another.
    pub(super) between_schemas: Vec<(*const Value, &'v Value)>,
    /// From a resource's root to another's.
    pub(super) between_resources: Vec<(*const Value, &'v Value)>,
}

/// References multiply beyond what can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess;

impl<'v> References<'v> {
    /// Follows all ways through the references, as far as the bounds go.
    pub(super) fn check(&self, document: &'v Value) -> Result<(), Excess> {
        if self.between_schemas.len() <= FEW {
            return Ok(());
        }
        let mut survey =
            Survey { targets: by_source(&self.between_schemas), on_way: HashSet::new(), steps: 0 };
        let mut unevaluated = 0;
        survey.starts(document, &mut unevaluated)?;

        let resources = by_source(&self.between_resources);
        let mut room = MAX_BETWEEN_RESOURCES;
        for source in resources.keys() {
            ways(*source, &resources, &mut HashSet::new(), &mut room)?;
        }
        Ok(())
    }
}

type Targets<'v> = HashMap<*const Value, Vec<&'v Value>>;

fn by_source<'v>(references: &[(*const Value, &'v Value)]) -> Targets<'v> {
    let mut targets = Targets::new();
    for (source, target) in references {
        targets.entry(*source).or_default().push(target);
    }
    targets
}

struct Survey<'v> {
    targets: Targets<'v>,
    /// What the present way has passed: a cycle ends there.
    on_way: HashSet<*const Value>,
    steps: usize,
}

impl<'v> Survey<'v> {
    /// Begins at every object. Those that are no schemas do no harm.
    fn starts(&mut self, value: &'v Value, unevaluated: &mut usize) -> Result<(), Excess> {
        match value {
            Value::Array(elements) => {
                elements.iter().try_for_each(|element| self.starts(element, unevaluated))
            }
            Value::Object(members) => {
                let before = self.steps;
                self.visit(value, before + MAX_SCHEMAS)?;
                if members.contains_key("unevaluatedProperties") || members.contains_key("unevaluatedItems") {
                    *unevaluated += self.steps - before;
                }
                if *unevaluated > MAX_UNEVALUATED {
                    return Err(Excess);
                }
                members.values().try_for_each(|member| self.starts(member, unevaluated))
            }
            _ => Ok(()),
        }
    }

    /// Follows whatever else the value that a schema checks is checked by.
    fn visit(&mut self, schema: &'v Value, end: usize) -> Result<(), Excess> {
        self.steps += 1;
        if self.steps > end.min(MAX_STEPS) {
            return Err(Excess);
        }
        let Value::Object(members) = schema else { return Ok(()) };
        if !self.on_way.insert(ptr::from_ref(schema)) {
            return Ok(());
        }
        if self.on_way.len() > MAX_CHAIN {
            return Err(Excess);
        }
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                    schemas.iter().try_for_each(|schema| self.visit(schema, end))?;
                }
                ("not" | "if" | "then" | "else", schema) => self.visit(schema, end)?,
                ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                    schemas.values().try_for_each(|schema| self.visit(schema, end))?;
                }
                _ => {}
            }
        }
        for target in self.targets.get(&ptr::from_ref(schema)).cloned().unwrap_or_default() {
            self.visit(target, end)?;
        }
        self.on_way.remove(&ptr::from_ref(schema));
        Ok(())
    }
}

/// Takes from `room` what the ways that begin at a resource would have compiled.
fn ways(
    source: *const Value,
    resources: &Targets<'_>,
    on_way: &mut HashSet<*const Value>,
    room: &mut usize,
) -> Result<(), Excess> {
    on_way.insert(source);
    for target in resources.get(&source).into_iter().flatten() {
        if !on_way.contains(&ptr::from_ref(*target)) {
            *room = room.checked_sub(objects(target)).ok_or(Excess)?;
            ways(*target, resources, on_way, room)?;
        }
    }
    on_way.remove(&source);
    Ok(())
}

fn objects(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(objects).sum::<usize>(),
        Value::Array(elements) => elements.iter().map(objects).sum(),
        _ => 0,
    }
}
