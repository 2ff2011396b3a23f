//! The dashboard and the alerts, without a Prometheus: that they ask for what there is. The tests on a real API server hold the
//! same queries against what an operator says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::queries::{self, Selector};

#[test]
fn every_query_asks_for_metrics_that_are_documented() {
    let documented = queries::documented();
    assert!(documented.len() > 10, "{documented:?}");
    for query in queries::all() {
        let selectors = queries::selectors(&query.expr);
        assert!(!selectors.is_empty(), "{}: {}", query.title, query.expr);
        for Selector { name, .. } in selectors {
            let metric = queries::metric_of(&name);
            let kind = documented.get(metric).unwrap_or_else(|| panic!("{}: no metric {name}", query.title));
            assert_eq!(metric != name, kind == "histogram", "{}: {name} is a {kind}", query.title);
            // A counter says nothing but by how fast it grows.
            let grows = query.expr.contains("rate(") || query.expr.contains("increase(");
            assert!(grows || !matches!(kind.as_str(), "counter" | "histogram"), "{}", query.title);
        }
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard = queries::dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a title");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title}");
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().expect("x") + place["w"].as_u64().expect("w");
        assert!(right <= 24, "{title} is wider than a dashboard");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_it_means() {
    for alert in queries::alerts() {
        let name = alert["alert"].as_str().expect("a name");
        let severity = alert["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("critical" | "warning" | "info")), "{name}: {severity:?}");
        for annotation in ["summary", "description"] {
            assert!(matches!(&alert["annotations"][annotation], Value::String(_)), "{name}: {annotation}");
        }
    }
}

#[test]
fn series_are_found_in_a_query() {
    let found = queries::selectors(
        r#"histogram_quantile(0.99, sum by (le, kind) (rate(mcp_operator_a_bucket{kind="X",verdict=~"a|b"}[5m])))
           and on (instance) process_threads > 7"#,
    );
    let matcher =
        |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
    let matchers = vec![matcher("kind", "=", "X"), matcher("verdict", "=~", "a|b")];
    assert_eq!(
        found,
        [
            Selector { name: "mcp_operator_a_bucket".to_owned(), matchers },
            Selector { name: "process_threads".to_owned(), matchers: Vec::new() },
        ]
    );
    assert!(found[0].matches(r#"mcp_operator_a_bucket{verdict="b",kind="X",le="1"} 3"#));
    assert!(!found[0].matches(r#"mcp_operator_a_bucket{verdict="c",kind="X",le="1"} 3"#));
    assert!(!found[1].matches("process_threads_total 3"));
}
