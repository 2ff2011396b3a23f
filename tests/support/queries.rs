//! What the dashboard and the alerts ask Prometheus, as far as it is about the operator's own metrics.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// What the names of the operator's metrics begin with.
const PREFIXES: [&str; 2] = ["mcp_operator_", "process_"];

/// A query, and where it stands.
pub(crate) struct Query {
    /// The panel or the alert.
    pub(crate) title: String,
    /// The PromQL.
    pub(crate) expr: String,
}

/// The series that a query wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Selector {
    /// The series' name.
    pub(crate) name: String,
    /// Label, operator and value of each matcher.
    pub(crate) matchers: Vec<(String, String, String)>,
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file)
}

/// The dashboard.
pub(crate) fn dashboard() -> Value {
    serde_json::from_str(&read("config/grafana/mcp-operator.json")).expect("a dashboard")
}

/// The alerts.
pub(crate) fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read("config/prometheus/rules.yaml")).expect("rules");
    let groups = rules["spec"]["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

/// All queries of both.
pub(crate) fn all() -> Vec<Query> {
    let text = |value: &Value, key: &str| value[key].as_str().expect(key).to_owned();
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query { title: text(panel, "title"), expr: text(target, "expr") });
        }
    }
    queries.extend(
        alerts().iter().map(|alert| Query { title: text(alert, "alert"), expr: text(alert, "expr") }),
    );
    queries
}

/// The table of metrics in the documentation: their types by their names.
pub(crate) fn documented() -> BTreeMap<String, String> {
    let page = read("docs/operating.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        let kind = rest.split(" | ").next()?;
        PREFIXES.iter().any(|prefix| name.starts_with(prefix)).then(|| (name.to_owned(), kind.to_owned()))
    });
    rows.collect()
}

/// The metric that a series is part of: a histogram has several.
pub(crate) fn metric_of(series: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| series.strip_suffix(suffix)).unwrap_or(series)
}

/// The series of the operator that an expression names.
pub(crate) fn selectors(expr: &str) -> Vec<Selector> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(is_word) {
        let (word, after) =
            rest[start..].split_at(rest[start..].find(|c| !is_word(c)).unwrap_or(rest.len() - start));
        rest = after;
        if !PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
            continue;
        }
        let mut matchers = Vec::new();
        if let Some((inside, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            matchers = inside.split(',').map(matcher).collect();
            rest = after;
        }
        found.push(Selector { name: word.to_owned(), matchers });
    }
    found
}

fn matcher(text: &str) -> (String, String, String) {
    let (label, value) = text.split_once('"').expect("a value in quotes");
    let value = value.strip_suffix('"').expect("a value in quotes").to_owned();
    let name = label.trim_end_matches(['=', '~', '!']);
    (name.trim().to_owned(), label[name.len()..].to_owned(), value)
}

impl Selector {
    /// Whether a line of `/metrics` is such a series. An alternative in a pattern is enough: which one happens is luck.
    pub(crate) fn matches(&self, line: &str) -> bool {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let has = |(label, operator, value): &(String, String, String)| match operator.as_str() {
            "=" => line.contains(&format!("{label}=\"{value}\"")),
            "=~" => value.split('|').any(|one| line.contains(&format!("{label}=\"{one}\""))),
            other => panic!("the test knows no operator {other}"),
        };
        name == self.name && self.matchers.iter().all(has)
    }
}
