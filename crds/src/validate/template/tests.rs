use proptest::prelude::*;

use super::*;
use crate::validate::assert_soon;

/// The template with placeholders as `[name]`, if nothing is wrong with it.
fn rendered(text: &str) -> String {
    let template = Template::parse(text);
    assert_eq!(template.problems, [], "{text}");
    template.render(|name| Some(format!("[{name}]").into()))
}

fn problems(text: &str) -> Vec<(ProblemKind, &str, (usize, usize))> {
    let template = Template::parse(text);
    template.problems.iter().map(|p| (p.kind, p.source, (p.at.line, p.at.column))).collect()
}

fn shifts(text: &str) -> Vec<(usize, usize)> {
    Template::parse(text).shifts.iter().map(|at| (at.line, at.column)).collect()
}

#[test]
fn placeholders() {
    for (text, expected) in [
        ("", ""),
        ("no placeholder", "no placeholder"),
        ("Hello {{name}}, your query is: {{query}}\n", "Hello [name], your query is: [query]\n"),
        ("<<name>>{{name}}", "[name][name]"),
        ("{{ name }}{{\tname}}<< name >>", "[name][name][name]"),
        ("{{_a-1}}<<A_>>", "[_a-1][A_]"),
        ("{{name}}}", "[name]}"),
        ("<<name>>>", "[name]>"),
        ("é{{name}}é", "é[name]é"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn a_placeholder_knows_its_place_in_lines_and_characters() {
    let template = Template::parse("é {{a}}\n\n\t<< b >>");
    let places: Vec<_> = template.placeholders().map(|p| (p.name, p.source, p.at.to_string())).collect();
    let expected = [("a", "{{a}}", "line 1, column 3"), ("b", "<< b >>", "line 3, column 2")];
    assert_eq!(places, expected.map(|(name, source, at)| (name, source, at.to_owned())));
}

#[test]
fn values_are_put_in_as_they_are() {
    let template = Template::parse("{{a}} {{b}}");
    assert_eq!(template.render(|name| (name == "a").then(|| "{{b}} \\{{".into())), "{{b}} \\{{ ");
}

#[test]
fn json_needs_no_escape() {
    for text in [
        r#"{"a": {"b": 1}}"#,
        "{\n  \"a\": {\n    \"b\": {}}}",
        "fn main() { loop { break }}",
        "{ { } } }",
        "a }",
    ] {
        assert_eq!(rendered(text), text);
    }
    assert_eq!(rendered(r#"{"a": {{name}}}"#), r#"{"a": [name]}"#);
    assert_eq!(rendered(r#"{"a": {"b": "{{name}}"}}"#), r#"{"a": {"b": "[name]"}}"#);
}

#[test]
fn empty_placeholders() {
    for text in ["{{}}", "{{ }}", "<<>>", "<< >>"] {
        assert_eq!(problems(text), [(ProblemKind::Empty, text, (1, 1))], "{text}");
    }
}

#[test]
fn placeholders_that_are_not_closed_on_their_line() {
    for (text, source) in [
        ("{{name", "{{name"),
        ("<<name", "<<name"),
        ("{{", "{{"),
        ("{{ name and more", "{{ name"),
        ("{{name}", "{{name"),
        ("<<name>", "<<name"),
        ("{{name\n}}", "{{name"),
        ("<<name\n>>", "<<name"),
        ("<<_", "<<_"),
        ("<<été", "<<été"),
    ] {
        assert_eq!(problems(text), [(ProblemKind::NotClosed, source, (1, 1))], "{text}");
    }
    assert_eq!(problems("cat <<EOF"), [(ProblemKind::NotClosed, "<<EOF", (1, 5))]);
    // The pair that opens next is whole, and the first one is what is broken.
    assert_eq!(problems("{{a {{b}}"), [(ProblemKind::NotClosed, "{{a", (1, 1))]);
    assert_eq!(problems("<<a <<b>>"), [(ProblemKind::NotClosed, "<<a", (1, 1))]);
}

#[test]
fn what_is_no_identifier() {
    for text in [
        "{{first name}}",
        "{{user.name}}",
        "{{1st}}",
        "{{-a}}",
        "{{été}}",
        "{{#each items}}",
        "{{{name}}",
        "<<1st>>",
        "<< 1st >>",
        "<<first name>>",
        "<<user.name>>",
        "<<<name>>",
        "<<-a>>",
    ] {
        assert_eq!(problems(text), [(ProblemKind::NoIdentifier, text, (1, 1))], "{text}");
    }
    assert_eq!(problems("1 << 3 >> 1"), [(ProblemKind::NoIdentifier, "<< 3 >>", (1, 3))]);
}

#[test]
fn closing_braces_that_nothing_opened() {
    for (text, column) in [("name}}", 5), ("{name}}", 6), ("}}", 1), ("{}}}", 2), ("{{a}} }}", 7)] {
        assert_eq!(problems(text), [(ProblemKind::NotOpened, "}}", (1, column))], "{text}");
    }
    // One mistake is one problem.
    assert_eq!(problems("{{na\nme}}").len(), 1);
    // What is accounted for once is not accounted for again.
    assert_eq!(problems("{{}} { {a}} b}}").len(), 2);
}

#[test]
fn shifts_are_text() {
    for (text, at) in [
        ("1 << 3", (1, 3)),
        ("1 << 3 and 8 >> 1", (1, 3)),
        ("cat << 'EOF'", (1, 5)),
        ("cat <<'EOF'", (1, 5)),
        ("cat <<< word", (1, 5)),
        ("cat <<<word", (1, 5)),
        ("\n<<", (2, 1)),
        ("<<\n>>", (1, 1)),
        ("<< a b >>", (1, 1)),
    ] {
        assert_eq!(rendered(text), text);
        assert_eq!(shifts(text), [at], "{text}");
    }
    for text in ["a >> b", ">>", "a < b", "a <", "<a>", "<name>>"] {
        assert_eq!(rendered(text), text);
        assert_eq!(shifts(text), [], "{text}");
    }
    assert_eq!(rendered("1 << 3, and <<name>>"), "1 << 3, and [name]");
}

#[test]
fn a_backslash_makes_text_of_what_would_be_read() {
    for (text, expected) in [
        (r"\{{name}}", "{{name}}"),
        (r"\<<name>>", "<<name>>"),
        (r"\{{first name}} {{name}}", "{{first name}} [name]"),
        (r"\{{}} \<<>>", "{{}} <<>>"),
        (r"\{{<<name>>}}", "{{<<name>>}}"),
        (r"\<<{{name}}>>", "<<{{name}}>>"),
        (r"cat \<<EOF", "cat <<EOF"),
        ("cat \\<<EOF\n{{name}}\nEOF", "cat <<EOF\n[name]\nEOF"),
        (r"\<<EOF and <<name>>", "<<EOF and [name]"),
        (r"\{{a {{name}} b}}", "{{a [name] b}}"),
        ("\\{{\n  {{name}}\n}}", "{{\n  [name]\n}}"),
        (r#"\{{ {"a":{"b":1}} }}"#, r#"{{ {"a":{"b":1}} }}"#),
        (r"\\{{name}}", r"\{{name}}"),
        (r"a\b \n \ \{a} \<a>", r"a\b \n \ \{a} \<a>"),
        (r"{{name}}\", r"[name]\"),
        (r"1 \<< 3", "1 << 3"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
        assert_eq!(shifts(text), [], "{text}");
    }
    assert_eq!(problems(r"name\}}"), [(ProblemKind::NotOpened, "}}", (1, 6))]);
}

#[test]
fn problems_say_what_to_write() {
    let messages = |text| Template::parse(text).problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let closed = "a placeholder must be closed with >> on its line";
    assert_eq!(messages("cat <<EOF"), [format!(r"line 1, column 5: {closed}; for plain text, write \<<EOF")]);
    let long = format!("<<{}", "a".repeat(1000));
    assert_eq!(messages(&long), [format!(r"line 1, column 1: {closed}; for plain text, write \<<")]);
    assert_eq!(
        messages("{{}}"),
        [r"line 1, column 1: a placeholder must name a variable; for plain text, write \{{}}"]
    );
}

/// Every problem has its way out: what the message says to write is then text.
#[test]
fn what_a_problem_says_to_write_is_text() {
    for text in ["{{}}", "{{name", "<<name", "{{user.name}}", "<<1st>>"] {
        assert_eq!(rendered(&format!("\\{text}")), text);
    }
}

/// The offset that a position stands for, found anew from the beginning.
fn offset_of(text: &str, at: Position) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(at.line - 1).map(str::len).sum();
    line_start + text[line_start..].chars().take(at.column - 1).map(char::len_utf8).sum::<usize>()
}

/// Texts made of what means something.
fn texts() -> impl Strategy<Value = String> {
    let tokens =
        ["{{", "}}", "<<", ">>", "{", "}", "<", ">", "\\", " ", "\n", "a", "name", "é", "1", "\"a\": "];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn segments_make_up_the_text_but_for_backslashes(text in texts()) {
        let template = Template::parse(&text);
        let mut rest = text.as_str();
        for segment in &template.segments {
            let source = match segment {
                Segment::Text(text) => text,
                Segment::Placeholder(placeholder) => placeholder.source,
            };
            if !rest.starts_with(source) || rest.starts_with(r"\{{") || rest.starts_with(r"\<<") {
                let escaped = rest.strip_prefix('\\').expect("only a backslash is dropped");
                prop_assert!(escaped.starts_with("{{") || escaped.starts_with("<<"));
                rest = escaped;
            }
            prop_assert!(rest.starts_with(source));
            rest = &rest[source.len()..];
        }
        prop_assert_eq!(rest, "");
    }

    #[test]
    fn positions_are_those_of_what_they_name(text in texts()) {
        let template = Template::parse(&text);
        let placeholders = template.placeholders().map(|placeholder| (placeholder.source, placeholder.at));
        let problems = template.problems.iter().map(|problem| (problem.source, problem.at));
        let shifts = template.shifts.iter().map(|at| ("<<", *at));
        for (source, at) in placeholders.chain(problems).chain(shifts) {
            prop_assert!(text[offset_of(&text, at)..].starts_with(source), "{} {}", source, at);
        }
    }

    #[test]
    fn placeholders_have_identifiers(text in texts()) {
        for placeholder in Template::parse(&text).placeholders() {
            prop_assert!(is_identifier(placeholder.name));
            let inside = &placeholder.source[2..placeholder.source.len() - 2];
            prop_assert_eq!(inside.trim(), placeholder.name);
        }
    }

    #[test]
    fn without_brackets_a_text_is_itself(text in "[^{}<]{0,40}") {
        prop_assert_eq!(rendered(&text), text);
    }

    #[test]
    fn an_escaped_placeholder_is_text(before in "[a-zé \n]{0,8}", inside in "[a-zé .1]{0,8}", after in "[a-zé \n]{0,8}") {
        for (open, close) in [("{{", "}}"), ("<<", ">>")] {
            let plain = format!("{before}{open}{inside}{close}{after}");
            prop_assert_eq!(rendered(&format!("{before}\\{open}{inside}{close}{after}")), plain);
        }
    }
}

/// What would take minutes if anything were looked for again and again.
#[test]
fn hostile_templates_take_linear_time() {
    let hostile = [
        "{{", "}}", "<<", ">>", "{", "\\", "\\{{", "\\<<", "{{a", "<<a", "<< ", "<<\u{a0}", "<< a b ",
        "{{a}} ", "<<a>> ", "{{}}", "<<a\n", "{{a\n", "\\{{a\n", "\\<< a", "<<1",
    ];
    assert_soon(|| {
        for token in hostile {
            for tail in ["", ">>", "}}"] {
                let text = token.repeat(64 * 1024 / token.len()) + tail;
                assert!(Template::parse(&text).render(|_| None).len() <= text.len());
            }
        }
    });
}
