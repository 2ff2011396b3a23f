//! `docs/reading-errors.md` is made from the examples of `tests/rules`, so it cannot promise other words than the rules have.
//! `UPDATE=1` writes it; without, a difference fails.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::examples::{self, Example, Rule};

const PAGE: &str = "docs/reading-errors.md";
/// What stands above this line is written by hand.
const MARKER: &str = "<!-- Everything below is generated from tests/rules by `make generate`. -->\n";
/// Longer strings are shortened in a manifest.
const MAX_TEXT_CHARS: usize = 200;
/// Longer manifests do not stand on a line.
const MAX_INLINE_BYTES: usize = 100;

#[test]
fn reading_errors_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).expect(PAGE);
    let (by_hand, _) = page.split_once(MARKER).expect("the page has its marker");
    let fresh = format!("{by_hand}{MARKER}{}", render(&examples::rules()));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, fresh).expect(PAGE);
    } else {
        assert!(page == fresh, "{PAGE} differs from tests/rules: run `make generate`");
    }
}

#[test]
fn the_errors_written_by_hand_are_real() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).expect(PAGE);
    let (by_hand, _) = page.split_once(MARKER).expect("the page has its marker");
    let rules = examples::rules();
    let causes = rules.iter().flat_map(|rule| &rule.examples).flat_map(|example| &example.causes);
    let real: Vec<String> = causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let shown: Vec<&str> = by_hand.lines().filter_map(|line| line.strip_prefix("* spec.")).collect();
    assert!(!shown.is_empty());
    for line in shown {
        assert!(real.contains(&format!("spec.{line}")), "nothing says: spec.{line}");
    }
}

fn render(rules: &[Rule]) -> String {
    let mut page = String::new();
    let mut section = "";
    for rule in rules {
        let heading = match rule.id.as_bytes() {
            [b'S', ..] => "MCPServer",
            [b'T', ..] => "MCPTool",
            [b'P', ..] => "MCPPrompt",
            [b'R', ..] => "MCPResource",
            _ => "Beside the rules",
        };
        if section != heading {
            section = heading;
            page.push_str(&format!("\n## {heading}\n"));
        }
        render_rule(rule, &mut page).expect("a string can be written to");
    }
    page
}

fn render_rule(rule: &Rule, page: &mut String) -> std::fmt::Result {
    let id = if rule.id.len() <= 3 { format!("{}: ", rule.id) } else { String::new() };
    writeln!(page, "\n### {id}{}\n\n{}", rule.title, rule.why)?;
    let shown = rule.examples.iter().find(|example| !example.causes.is_empty() && example.fix.is_some());
    if let Some(example) = shown {
        render_example(example, page)?;
    }
    let is_shown = |example: &Example| shown.is_some_and(|shown| std::ptr::eq(shown, example));
    let others: Vec<&Example> = rule.examples.iter().filter(|example| !is_shown(example)).collect();
    let (refused, accepted): (Vec<&Example>, Vec<&Example>) =
        others.into_iter().partition(|example| !example.causes.is_empty());
    let (silent, warned): (Vec<&Example>, Vec<&Example>) =
        accepted.into_iter().partition(|example| example.warnings.is_empty());
    for (title, examples) in
        [("Refused as well:", refused), ("Accepted, with a warning:", warned), ("Accepted:", silent)]
    {
        if !examples.is_empty() {
            writeln!(page, "\n{title}\n")?;
        }
        for example in examples {
            render_line(example, page)?;
        }
    }
    Ok(())
}

/// The example in full: what is refused, what kubectl says, and what to write instead.
fn render_example(example: &Example, page: &mut String) -> std::fmt::Result {
    let needs_others = example.causes.iter().any(|cause| cause.reason == "FieldValueDuplicate");
    if needs_others && !example.existing.is_empty() {
        let existing: Vec<String> = example.existing.iter().map(|object| manifest(example, object)).collect();
        writeln!(page, "\nBeside these:\n\n```yaml\n{}```", existing.join("---\n"))?;
    }
    writeln!(page, "\n```yaml\n{}```", manifest(example, &example.excerpt))?;
    writeln!(page, "\n```text\n{}```", kubectl(example))?;
    if let Some(fix) = &example.fix {
        writeln!(page, "\nInstead:\n\n```yaml\n{}```", manifest(example, &fix.excerpt))?;
    }
    Ok(())
}

/// What kubectl prints.
fn kubectl(example: &Example) -> String {
    let metadata = &example.object["metadata"];
    let name = metadata.get("name").or(metadata.get("generateName")).and_then(Value::as_str);
    let head = format!("The {} \"{}\" is invalid: ", example.kind, name.unwrap_or_default());
    let lines: Vec<String> =
        example.causes.iter().map(|cause| format!("{}: {}\n", cause.field, cause.message)).collect();
    match lines.as_slice() {
        [line] => head + line,
        lines => lines.iter().fold(head + "\n", |text, line| text + "* " + line),
    }
}

fn render_line(example: &Example, page: &mut String) -> std::fmt::Result {
    let errors = example.causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message));
    let warnings = example.warnings.iter().map(|warning| format!("Warning: {}", examples::cut(warning)));
    let lines: Vec<String> = errors.chain(warnings).map(|line| code(&line)).collect();
    match lines.as_slice() {
        [] => match inline(example) {
            Some(spec) => writeln!(page, "- {}: {}", example.name, code(&spec)),
            None => writeln!(page, "- {}", example.name),
        },
        [line] => writeln!(page, "- {}: {line}", example.name),
        lines => {
            writeln!(page, "- {}:", example.name)?;
            lines.iter().try_for_each(|line| writeln!(page, "  - {line}"))
        }
    }
}

fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// What an example is about, where a line has room for it.
fn inline(example: &Example) -> Option<String> {
    let spec = shortened(example.excerpt.get("spec")?);
    let fields = spec.as_object()?.iter().map(|(name, value)| format!("{name}: {}", flow(value)));
    let text = fields.collect::<Vec<_>>().join(", ");
    (!text.is_empty() && text.len() <= MAX_INLINE_BYTES).then_some(text)
}

/// YAML in flow style.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let members = object.iter().map(|(key, value)| format!("{}: {}", plain(key), flow(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => plain(text),
        scalar => scalar.to_string(),
    }
}

/// A string without quotes, where nothing in it could be taken for something else.
fn plain(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_word { text.to_owned() } else { Value::from(text).to_string() }
}

/// A manifest, as far as an example is about it.
fn manifest(example: &Example, excerpt: &Value) -> String {
    let mut shown = Map::new();
    let kind = excerpt.get("kind").cloned().unwrap_or_else(|| example.kind.as_str().into());
    shown.insert("kind".to_owned(), kind);
    let metadata = excerpt.get("metadata").unwrap_or(&example.object["metadata"]);
    shown.insert("metadata".to_owned(), metadata.clone());
    if let Some(spec) = excerpt.get("spec") {
        shown.insert("spec".to_owned(), shortened(spec));
    }
    if let Some(Value::Object(metadata)) = shown.get_mut("metadata") {
        metadata.retain(|name, value| name != "namespace" || value != examples::NAMESPACE);
    }
    serde_saphyr::to_string(&shown).expect("JSON is YAML")
}

/// Without what `base` has and the example takes away, and without what is too long for a page.
fn shortened(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let members = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(key, value)| (key.clone(), shortened(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(shortened).collect()),
        Value::String(text) if text.chars().nth(MAX_TEXT_CHARS).is_some() => {
            let beginning: String = text.chars().take(16).collect();
            Value::String(format!("{beginning}… ({} characters)", text.chars().count()))
        }
        scalar => scalar.clone(),
    }
}
