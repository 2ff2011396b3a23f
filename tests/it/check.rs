//! `mcp-operator check`: on every manifest that the project shows to its users, and on what they may write themselves.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of a folder with an extension, in the order of their names.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    assert!(!files.is_empty(), "no .{extension} in {folder}");
    files.sort();
    files
}

/// What `mcp-operator check --output json` says.
fn check(arguments: &[&str], input: &str) -> (Option<i32>, Vec<Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-operator"))
        .args(["check", "--output", "json"])
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mcp-operator runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&stderr);
    let reports = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}\n{stderr}"));
    (status.code(), reports)
}

fn lines(report: &Value) -> Vec<String> {
    let errors = report["errors"].as_array().expect("errors");
    errors
        .iter()
        .map(|error| {
            let text = |member: &str| error[member].as_str().expect("a string");
            format!("{}: {}", text("field"), text("message"))
        })
        .collect()
}

#[track_caller]
fn assert_accepted(what: &str, (status, reports): &(Option<i32>, Vec<Value>)) {
    let refused: Vec<String> = reports
        .iter()
        .filter(|report| report["verdict"] == "rejected")
        .map(|report| format!("{}: {}", report["name"], lines(report).join("\n  ")))
        .collect();
    assert_eq!(*status, Some(0), "{what}:\n{}", refused.join("\n"));
    assert!(reports.iter().any(|report| report["verdict"] == "accepted"), "{what}: nothing was checked");
}

#[test]
fn samples_are_accepted_together() {
    assert_accepted("samples", &check(&["-f", "config/samples"], ""));
}

#[test]
fn seeds_are_accepted() {
    for file in files("config/samples/seeds", "yaml") {
        let file = file.display().to_string();
        assert_accepted(&file, &check(&["-f", &file], ""));
    }
}

/// Each says in comments what kubectl answers; one of them because of a seed.
#[test]
fn refused_samples_are_refused_as_they_say() {
    for path in files("config/samples/refused", "yaml") {
        let file = path.display().to_string();
        let (_, reports) = check(&["-f", "config/samples/seeds", "-f", &file], "");
        let report = reports.last().expect("a report");
        let text = fs::read_to_string(&path).expect("a sample");
        let said: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# * ")).collect();
        assert_eq!(said, lines(report), "{file}");
        assert_eq!(report["verdict"], "rejected", "{file}");
    }
}

/// The YAML blocks of a page that are manifests of ours, each with its line. Others are excerpts.
fn manifests(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, block)), line) => block.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    blocks.retain(|(_, block)| block.contains("apiVersion: mcp.example.com"));
    blocks
}

#[test]
fn manifests_in_the_documentation_are_accepted() {
    for path in files("docs", "md") {
        let page = fs::read_to_string(&path).expect("a page");
        for (line, block) in manifests(&page) {
            assert_accepted(&format!("{}:{line}", path.display()), &check(&["-f", "-"], &block));
        }
    }
}

#[test]
fn manifests_are_found_in_a_page() {
    let page = "```yaml\nkind: MCPServer\n```\n```yaml\napiVersion: mcp.example.com/v1alpha1\n```\n";
    assert_eq!(manifests(page), [(4, "apiVersion: mcp.example.com/v1alpha1\n".to_owned())]);
    let guides = ["mcpserver", "mcptool", "mcpprompt", "mcpresource"];
    for guide in guides {
        let path = root().join(format!("docs/writing-{guide}.md"));
        let page = fs::read_to_string(&path).expect("a guide");
        assert!(!manifests(&page).is_empty(), "{guide}");
    }
}

const TOOL: &str = r#"{"apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPTool", "metadata": {"name": "search"},
 "spec": {"description": "Searches.", "service": {"name": "search", "port": 80}}}"#;

fn verdicts(reports: &[Value]) -> Vec<(&str, &str)> {
    reports
        .iter()
        .map(|report| {
            (report["name"].as_str().expect("a name"), report["verdict"].as_str().expect("a verdict"))
        })
        .collect()
}

#[test]
fn json_objects_one_after_the_other_are_documents() {
    let second = TOOL.replace("\"search\"}", "\"find\"}").replace("80", "0");
    let (status, reports) = check(&["-f", "-"], &format!("{TOOL}\n{second}"));
    assert_eq!(status, Some(1));
    assert_eq!(verdicts(&reports), [("search", "accepted"), ("find", "rejected")]);
    assert_eq!((&reports[1]["document"], &reports[1]["errors"][0]["line"]), (&json!(1), &json!(4)));
}

#[test]
fn every_list_is_checked_item_by_item() {
    let list = format!(
        r#"{{"kind": "List", "items": [{TOOL}, {{"kind": "MCPToolList", "items": [{}]}}, 7]}}"#,
        TOOL.replace("80", "0").replace("\"search\"}", "\"find\"}")
    );
    let (status, reports) = check(&["-f", "-"], &list);
    assert_eq!(status, Some(1));
    assert_eq!(verdicts(&reports), [("search", "accepted"), ("find", "rejected"), ("", "rejected")]);
    assert_eq!(lines(&reports[2]), ["items[2]: Invalid value: 7: must be an object"]);
}

#[test]
fn a_kind_of_ours_without_a_version_is_an_error() {
    let (status, reports) = check(&["-f", "-"], "kind: MCPTool\nmetadata: {name: search}\n");
    assert_eq!(status, Some(1));
    assert_eq!(lines(&reports[0]), ["apiVersion: Required value: must be \"mcp.example.com/v1alpha1\""]);
}

#[test]
fn what_is_nested_too_deep_is_an_error_of_its_field() {
    for depth in [80, 900] {
        let schema =
            format!("\"inputSchema\": {}1{}, \"service\"", "{\"a\": ".repeat(depth), "}".repeat(depth));
        let (status, reports) = check(&["-f", "-"], &TOOL.replace("\"service\"", &schema));
        assert_eq!(status, Some(1), "{depth}");
        let said = "spec.inputSchema: Too long: may not nest objects and arrays more than 64 deep";
        assert_eq!(lines(&reports[0]), [said], "{depth}");
    }
}

#[test]
fn a_document_that_cannot_be_read_hides_no_other() {
    let (status, reports) =
        check(&["-f", "-"], &format!("{TOOL}\n---\na: [\n---\n{}", TOOL.replace("80", "0")));
    assert_eq!(status, Some(2));
    assert_eq!(verdicts(&reports), [("search", "accepted"), ("search", "rejected")]);
}

#[test]
fn whoever_has_seen_enough_is_told_nothing_more() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-operator"))
        .args(["check", "-f", "config/samples"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mcp-operator runs");
    drop(child.stdout.take());
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    assert_eq!((status.code(), String::from_utf8_lossy(&stderr).as_ref()), (Some(141), ""));
}
