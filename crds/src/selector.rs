//! Label selectors, compiled.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Labels of an object. A cluster's worth of them is held, so they take no more room than their text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(own, _)| (**own).cmp(key)).ok()?;
        self.0.get(found).map(|(_, value)| &**value)
    }

    /// Every key with its value, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Labels {
    /// Of a key that is given twice the last counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let sorted: BTreeMap<Box<str>, Box<str>> =
            pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self(sorted.into_iter().collect())
    }
}

/// A label selector (`metav1.LabelSelector`). One without requirements selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.get(key).is_some(),
            Self::DoesNotExist(key) => labels.get(key).is_none(),
        }
    }

    fn read(expression: &Value) -> Option<Self> {
        let key = expression.get("key")?.as_str()?.to_owned();
        let values: BTreeSet<String> = match expression.get("values") {
            None | Some(Value::Null) => BTreeSet::new(),
            Some(values) => {
                values.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
        };
        match (expression.get("operator")?.as_str()?, values.is_empty()) {
            ("In", false) => Some(Self::In(key, values)),
            ("NotIn", false) => Some(Self::NotIn(key, values)),
            ("Exists", true) => Some(Self::Exists(key)),
            ("DoesNotExist", true) => Some(Self::DoesNotExist(key)),
            _ => None,
        }
    }
}

impl Selector {
    /// Compiles a selector as it stands in an object. `None` where it is not there or is no selector, and both
    /// select nothing: rule S13 reports the second.
    #[must_use]
    pub fn read(selector: Option<&Value>) -> Option<Self> {
        let selector = selector?.as_object()?;
        let mut requirements = Vec::new();
        if let Some(labels) = selector.get("matchLabels").filter(|labels| !labels.is_null()) {
            for (key, value) in labels.as_object()? {
                requirements.push(Requirement::In(key.clone(), BTreeSet::from([value.as_str()?.to_owned()])));
            }
        }
        if let Some(expressions) =
            selector.get("matchExpressions").filter(|expressions| !expressions.is_null())
        {
            for expression in expressions.as_array()? {
                requirements.push(Requirement::read(expression)?);
            }
        }
        Some(Self { requirements })
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Pairs of key and value of which every selected object has one; none where the selector names no such pairs.
    /// An index by label starts from them, instead of from every object.
    pub(crate) fn anchors(&self) -> Option<impl Iterator<Item = (&str, &str)>> {
        self.requirements
            .iter()
            .filter_map(|requirement| match requirement {
                Requirement::In(key, values) => Some((key.as_str(), values)),
                _ => None,
            })
            .min_by_key(|(_, values)| values.len())
            .map(|(key, values)| values.iter().map(move |value| (key, value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn selects(selector: Value, pairs: &[(&str, &str)]) -> bool {
        Selector::read(Some(&selector)).expect("a selector").matches(&labels(pairs))
    }

    #[test]
    fn an_empty_selector_selects_everything_and_a_missing_one_nothing() {
        assert!(selects(json!({}), &[]));
        assert_eq!(Selector::read(None), None);
    }

    #[test]
    fn all_requirements_must_hold() {
        let selector =
            json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]});
        assert!(selects(selector.clone(), &[("a", "1"), ("b", "x")]));
        assert!(!selects(selector.clone(), &[("a", "1")]));
        assert!(!selects(selector, &[("a", "2"), ("b", "x")]));
    }

    #[test]
    fn not_in_and_does_not_exist_select_objects_without_the_label() {
        assert!(selects(
            json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}),
            &[]
        ));
        assert!(selects(
            json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}),
            &[("b", "1")]
        ));
    }

    #[test]
    fn what_is_no_selector_selects_nothing() {
        for broken in [
            json!("x"),
            json!({"matchLabels": {"a": 1}}),
            json!({"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}),
            json!({"matchExpressions": [{"key": "a", "operator": "Equals", "values": ["1"]}]}),
        ] {
            assert_eq!(Selector::read(Some(&broken)), None, "{broken}");
        }
    }
}
