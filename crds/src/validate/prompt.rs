//! The rules of an MCPPrompt.

use std::collections::{HashMap, HashSet};

use super::nearest::nearest;
use super::service;
use super::template::{Template, is_identifier};
use crate::field::{FieldError, FieldPath, Findings, MAX_QUOTED_CHARS};
use crate::node::Node;

/// The greatest size of a template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 64 * 1024;

/// For so many undeclared names the nearest declared one is looked for; each takes time.
const MAX_SUGGESTIONS: usize = 16;

/// P2–P6, and what is suspicious about a prompt.
pub fn check(object: &Node<'_>, findings: &mut Findings) {
    let Some(spec) = object.get("spec").filter(|spec| spec.value.is_object()) else { return };
    check_choice(&spec, findings);
    let declared = check_variables(&spec, findings);
    if let Some(text) = spec.get_str("template") {
        check_template(&spec, text, &declared, findings);
    }
    if let Some(node) = spec.get("service") {
        service::check(&node, findings);
    }
}

/// P6: the text, or who answers instead.
fn check_choice(spec: &Node<'_>, findings: &mut Findings) {
    const ONE: &str = "give either template or service, and not both";
    let error = match (spec.has("template"), spec.has("service")) {
        (true, true) => FieldError::forbidden(&spec.path, ONE),
        (false, false) => FieldError::required(&spec.path, ONE),
        _ => return,
    };
    findings
        .error(error.depending_on(["template", "service"].map(|field| spec.path.field(field).to_owned())));
}

/// The variables that a prompt declares.
struct Declared<'a> {
    /// By name, where it stands in the list.
    places: HashMap<&'a str, usize>,
    /// In the list's order.
    names: Vec<&'a str>,
    /// Whether what is declared can be known: the list, where there is one, is one.
    is_known: bool,
}

/// P5, and a default that never comes to use.
fn check_variables<'a>(spec: &'a Node<'a>, findings: &mut Findings) -> Declared<'a> {
    let mut declared = Declared { places: HashMap::new(), names: Vec::new(), is_known: true };
    let Some(variables) = spec.value.get("variables").filter(|variables| !variables.is_null()) else {
        return declared;
    };
    declared.is_known = variables.is_array();
    let list = spec.path.field("variables");
    for (i, value) in variables.as_array().into_iter().flatten().enumerate() {
        let variable = Node { value, path: list.index(i) };
        if value.get("required").and_then(|required| required.as_bool()) == Some(true)
            && variable.has("default")
        {
            findings.warn(&variable.path.field("default"), "is never used, since the variable is required");
        }
        let Some(name) = value.get("name").and_then(|name| name.as_str()) else { continue };
        let path = variable.path.field("name");
        if !is_identifier(name) {
            let detail = "must be letters, digits, '_' and '-', beginning with a letter or '_'";
            findings.error(FieldError::invalid_str(&path, name, detail));
        }
        if let Some(first) = declared.places.get(name) {
            let error =
                FieldError::duplicate(&path, name, format_args!("is already declared by variables[{first}]"));
            findings.error(error.depending_on([list.index(*first).field("name").to_owned()]));
        } else {
            declared.places.insert(name, i);
            declared.names.push(name);
        }
    }
    declared
}

/// P2–P4, and variables that nothing uses.
fn check_template(spec: &Node<'_>, text: &str, declared: &Declared<'_>, findings: &mut Findings) {
    let path = spec.path.field("template");
    if text.is_empty() {
        findings.error(FieldError::invalid_str(&path, text, "must not be empty"));
    }
    if text.len() > MAX_TEMPLATE_BYTES {
        findings.error(FieldError::too_long(
            &path,
            format_args!("may not be more than {MAX_TEMPLATE_BYTES} bytes"),
        ));
    }
    let template = Template::parse(text);
    for problem in &template.problems {
        findings.error(FieldError::invalid_str(&path, problem.source, problem).within(problem.at));
    }
    if declared.is_known {
        check_declared(
            &template,
            &spec.path.field("variables").to_owned(),
            &path.to_owned(),
            declared,
            findings,
        );
    }
    if let Some(first) = template.shifts.first() {
        let more = match template.shifts.len() {
            1 => String::new(),
            2 => ", as is one more".to_owned(),
            count => format!(", as are {} more", count - 1),
        };
        findings.warn(&path, format_args!("{first}: << opens no placeholder here and is text{more}"));
    }
    if template.problems.is_empty() {
        let used: HashSet<_> = template.placeholders().map(|placeholder| placeholder.name).collect();
        for name in declared.names.iter().filter(|name| is_identifier(name) && !used.contains(*name)) {
            let place = declared.places.get(name).copied().unwrap_or_default();
            let variables = spec.path.field("variables");
            findings.warn(&variables.index(place), format_args!("the template never uses {name}"));
        }
    }
}

/// P3: every placeholder is declared.
fn check_declared(
    template: &Template<'_>,
    variables: &FieldPath,
    path: &FieldPath,
    declared: &Declared<'_>,
    findings: &mut Findings,
) {
    let suggested: Vec<&str> = declared.names.iter().copied().filter(|name| is_suggestible(name)).collect();
    let mut meant: HashMap<&str, Option<&str>> = HashMap::new();
    for placeholder in
        template.placeholders().filter(|placeholder| !declared.places.contains_key(placeholder.name))
    {
        let has_room = meant.len() < MAX_SUGGESTIONS;
        let nearest = *meant.entry(placeholder.name).or_insert_with(|| {
            if has_room { nearest(placeholder.name, suggested.iter().copied()) } else { None }
        });
        let at = placeholder.at;
        let detail = match nearest {
            Some(nearest) => {
                format!("{at}: is not declared in variables; the nearest declared name is \"{nearest}\"")
            }
            None => format!("{at}: is not declared in variables"),
        };
        let error = FieldError::invalid_str(path.clone(), placeholder.source, detail).within(at);
        findings.error(error.depending_on([variables.clone()]));
    }
}

/// Whether a declared name can stand in a message.
fn is_suggestible(name: &str) -> bool {
    name.len() <= MAX_QUOTED_CHARS && is_identifier(name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::field::Reason;
    use crate::validate::assert_soon;

    fn findings(spec: Value) -> Findings {
        let mut findings = Findings::default();
        check(&Node::root(&json!({"spec": spec})), &mut findings);
        findings
    }

    fn errors(spec: Value) -> Vec<(Reason, String)> {
        findings(spec).errors.into_iter().map(|error| (error.reason, error.to_string())).collect()
    }

    fn fields(spec: Value) -> Vec<(Reason, String)> {
        findings(spec).errors.into_iter().map(|error| (error.reason, error.field.to_string())).collect()
    }

    fn at(reason: Reason, field: &str) -> Vec<(Reason, String)> {
        vec![(reason, field.to_owned())]
    }

    #[test]
    fn what_is_a_prompt() {
        for spec in [
            json!({
                "template": "Hello {{name}}, your query is: {{query}}\n",
                "variables": [{"name": "name", "required": true}, {"name": "query", "default": "none"}],
            }),
            json!({"template": "no placeholder"}),
            json!({"service": {"name": "backend", "port": 80, "path": "/prompts"}}),
        ] {
            assert_eq!(findings(spec.clone()), Findings::default(), "{spec}");
        }
    }

    #[test]
    fn one_of_template_and_service() {
        assert_eq!(fields(json!({})), at(Reason::Required, "spec"));
        assert_eq!(fields(json!({"template": null})), at(Reason::Required, "spec"));
        let service = json!({"name": "backend", "port": 80});
        assert_eq!(fields(json!({"template": "a", "service": service})), at(Reason::Forbidden, "spec"));
    }

    #[test]
    fn the_choice_depends_on_both_fields_and_on_nothing_else() {
        let service = json!({"name": "backend", "port": 80});
        let old = json!({"spec": {"template": "a", "service": service, "title": "a"}});
        let [error] = findings(old["spec"].clone()).errors.try_into().expect("one error");
        let mut new = old.clone();
        new["spec"]["title"] = json!("b");
        assert!(!error.touches_change(&old, &new));
        new["spec"]["template"] = json!("b");
        assert!(error.touches_change(&old, &new));
    }

    #[test]
    fn sizes_of_templates() {
        assert_eq!(fields(json!({"template": ""})), at(Reason::Invalid, "spec.template"));
        assert_eq!(fields(json!({"template": "a".repeat(65_536)})), []);
        // In bytes, and not in characters.
        assert_eq!(
            errors(json!({"template": "é".repeat(32_769)})),
            [(Reason::TooLong, "spec.template: Too long: may not be more than 65536 bytes".to_owned())]
        );
    }

    #[test]
    fn undeclared_placeholders() {
        let spec =
            json!({"template": "Hello\n dear {{nmae}}", "variables": [{"name": "query"}, {"name": "name"}]});
        let text = "spec.template: Invalid value: \"{{nmae}}\": line 2, column 7: is not declared in variables; \
                    the nearest declared name is \"name\"";
        assert_eq!(errors(spec), [(Reason::Invalid, text.to_owned())]);
        let text = "spec.template: Invalid value: \"<<a>>\": line 1, column 1: is not declared in variables";
        assert_eq!(errors(json!({"template": "<<a>>"})), [(Reason::Invalid, text.to_owned())]);
        // Each place is told, and nothing can be said where the list is none.
        assert_eq!(errors(json!({"template": "{{a}} {{b}} {{a}}"})).len(), 3);
        assert_eq!(errors(json!({"template": "{{a}}", "variables": {}})), []);
    }

    #[test]
    fn a_placeholder_that_loses_its_declaration_is_an_error_of_that_change() {
        let old = json!({"spec": {"template": "{{a}}", "variables": [{"name": "a"}]}});
        let new = json!({"spec": {"template": "{{a}}", "variables": []}});
        let [error] = findings(new["spec"].clone()).errors.try_into().expect("one error");
        assert!(error.touches_change(&old, &new));
        assert!(!error.touches_change(&new, &new));
    }

    #[test]
    fn broken_placeholders() {
        let text = "spec.template: Invalid value: \"<<EOF\": line 1, column 5: a placeholder must be closed with >> on its \
                    line; for plain text, write \\<<EOF";
        assert_eq!(errors(json!({"template": "cat <<EOF"})), [(Reason::Invalid, text.to_owned())]);
        for template in ["{{}}", "{{name", "{{first name}}", "<<1st>>", "name}}", "{name}}"] {
            assert_eq!(
                fields(json!({"template": template})),
                at(Reason::Invalid, "spec.template"),
                "{template}"
            );
        }
    }

    #[test]
    fn variables() {
        let template = "{{a}} {{a-1}}";
        let variables = json!([{"name": "a"}, {"name": "a-1"}, {"name": "a"}, {"name": "1st"}, {"name": ""}, {"name": 1}, "a"]);
        assert_eq!(
            fields(json!({"template": template, "variables": variables})),
            [
                (Reason::Duplicate, "spec.variables[2].name".to_owned()),
                (Reason::Invalid, "spec.variables[3].name".to_owned()),
                (Reason::Invalid, "spec.variables[4].name".to_owned()),
            ]
        );
    }

    #[test]
    fn the_service_is_that_of_a_tool() {
        let spec = json!({"service": {"name": "No", "path": "no"}});
        let expected =
            ["spec.service.name", "spec.service.path"].map(|field| (Reason::Invalid, field.to_owned()));
        assert_eq!(fields(spec), expected);
    }

    #[test]
    fn what_is_suspicious() {
        let spec = json!({
            "template": "{{a}} 1 << 2\n3 << 4",
            "variables": [{"name": "a", "required": true, "default": "b"}, {"name": "c"}],
        });
        let findings = findings(spec);
        assert_eq!(findings.errors, []);
        assert_eq!(
            findings.warnings,
            [
                "spec.variables[0].default: is never used, since the variable is required",
                "spec.template: line 1, column 9: << opens no placeholder here and is text, as is one more",
                "spec.variables[1]: the template never uses c",
            ]
        );
    }

    #[test]
    fn hostile_prompts_take_bounded_time() {
        let names = |prefix: &str| (0..6_000).map(|i| format!("{prefix}{i:050}")).collect::<Vec<_>>();
        let template: String = names("a").iter().take(1_100).map(|name| format!("{{{{{name}}}}}")).collect();
        let variables: Vec<_> = names("b").into_iter().map(|name| json!({"name": name})).collect();
        let prompt = json!({"template": template, "variables": variables});
        assert_soon(|| assert_eq!(errors(prompt.clone()).len(), 1_100));
    }
}
