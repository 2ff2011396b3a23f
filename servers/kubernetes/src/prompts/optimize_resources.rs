//! `optimize-resources`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::markdown::{list, one_line};
use super::quantity::value;
use crate::kubernetes::{Kubernetes, Listing, PodUsage};
use crate::name::Namespace;
use crate::refusal::Refusal;

/// How many containers are shown.
const CONTAINERS: usize = 100;
/// From which part of its limit on a use is called close to it.
const CLOSE: f64 = 0.9;
/// Below which part of its request a use is called far below it.
const FAR: f64 = 0.25;

/// What the cluster says of a namespace's containers.
#[derive(Debug)]
pub(super) struct Facts {
    namespace: Namespace,
    rows: Vec<Row>,
    is_cut: bool,
    measured: Measured,
}

#[derive(Debug)]
enum Measured {
    Yes,
    /// The cluster has no metrics API.
    No,
    Refused(Refusal),
}

/// A container.
#[derive(Clone, Debug, Default)]
struct Row {
    pod: String,
    container: String,
    cpu: Use,
    memory: Use,
    restarts: i32,
    ran_out_of_memory: bool,
}

/// What a container is promised, may use and uses, of one resource.
#[derive(Clone, Debug, Default)]
struct Use {
    request: Option<Quantity>,
    limit: Option<Quantity>,
    now: Option<Quantity>,
}

pub(super) async fn gather(kubernetes: &Kubernetes, namespace: &Namespace) -> Result<Facts, Refusal> {
    let (pods, usage) = tokio::join!(kubernetes.pods(namespace, rows), kubernetes.usage(namespace));
    let Listing { items, is_cut } = pods?;
    let mut rows: Vec<Row> = items.into_iter().flatten().collect();
    let measured = match usage {
        Ok(Some(usage)) => {
            measure(&mut rows, &usage);
            Measured::Yes
        }
        Ok(None) => Measured::No,
        Err(refusal) => Measured::Refused(refusal),
    };
    Ok(Facts { namespace: namespace.clone(), rows, is_cut, measured })
}

/// The containers of a pod that is not over.
fn rows(pod: Pod) -> Vec<Row> {
    let status = pod.status.unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Vec::new();
    }
    let name = pod.metadata.name.unwrap_or_default();
    let statuses = status.container_statuses.unwrap_or_default();
    let containers = pod.spec.map(|spec| spec.containers).unwrap_or_default();
    let row = |container: Container| {
        let status = statuses.iter().find(|status| status.name == container.name);
        row(&name, container, status)
    };
    containers.into_iter().map(row).collect()
}

fn row(pod: &str, container: Container, status: Option<&ContainerStatus>) -> Row {
    let resources = container.resources.unwrap_or_default();
    let of = |name: &str| Use {
        request: resources.requests.as_ref().and_then(|requests| requests.get(name)).cloned(),
        limit: resources.limits.as_ref().and_then(|limits| limits.get(name)).cloned(),
        now: None,
    };
    let states = status.into_iter().flat_map(|status| [&status.state, &status.last_state]).flatten();
    let mut ends = states.filter_map(|state| state.terminated.as_ref());
    Row {
        pod: pod.to_owned(),
        container: container.name,
        cpu: of("cpu"),
        memory: of("memory"),
        restarts: status.map_or(0, |status| status.restart_count),
        ran_out_of_memory: ends.any(|ended| ended.reason.as_deref() == Some("OOMKilled")),
    }
}

fn measure(rows: &mut [Row], usage: &[PodUsage]) {
    let mut by_name: BTreeMap<(&str, &str), &BTreeMap<String, Quantity>> = BTreeMap::new();
    for pod in usage {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        by_name.extend(pod.containers.iter().map(|it| ((name, it.name.as_str()), &it.usage)));
    }
    for row in rows {
        if let Some(usage) = by_name.get(&(row.pod.as_str(), row.container.as_str())) {
            row.cpu.now = usage.get("cpu").cloned();
            row.memory.now = usage.get("memory").cloned();
        }
    }
}

impl Row {
    /// What stands out.
    fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |text: String| found.push(format!("{}/{}: {text}", self.pod, self.container));
        if self.ran_out_of_memory {
            let limit = self.memory.limit.as_ref().map_or("none", |limit| &limit.0);
            say(format!("it was killed for using more memory than its limit ({limit})"));
        }
        for (name, it) in [("cpu", &self.cpu), ("memory", &self.memory)] {
            let [request, limit, now] =
                [&it.request, &it.limit, &it.now].map(|it| it.as_ref().and_then(value));
            let shown =
                |quantity: &Option<Quantity>| quantity.as_ref().map_or(String::new(), |it| it.0.clone());
            if request.is_none() && limit.is_none() {
                say(format!(
                    "it is promised no {name}: the scheduler does not count it, and it goes first when a node is short"
                ));
            }
            if let (Some(now), Some(limit)) = (now, limit)
                && limit > 0.0
                && now >= CLOSE * limit
            {
                let effect = if name == "cpu" { "it is slowed down" } else { "it is about to be killed" };
                say(format!("it uses {} of at most {} {name}: {effect}", shown(&it.now), shown(&it.limit)));
            }
            if let (Some(now), Some(request)) = (now, request)
                && request > 0.0
            {
                if now < FAR * request {
                    say(format!(
                        "it uses {} of {} {name} that it is promised, which nobody else gets",
                        shown(&it.now),
                        shown(&it.request)
                    ));
                } else if now > request {
                    say(format!("it uses {} {name} and is promised {}", shown(&it.now), shown(&it.request)));
                }
            }
        }
        found
    }

    fn cells(&self) -> String {
        let cell =
            |quantity: &Option<Quantity>| quantity.as_ref().map_or("-".to_owned(), |it| one_line(&it.0));
        let [cpu, memory] = [&self.cpu, &self.memory]
            .map(|it| format!("{} | {} | {}", cell(&it.request), cell(&it.limit), cell(&it.now)));
        format!("| {} | {} | {cpu} | {memory} | {} |\n", self.pod, self.container, self.restarts)
    }
}

impl Facts {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "The requests and limits of the containers in namespace {} are to be improved. Below is what they are promised, may \
             use, and use, read from the cluster just now.\n\n",
            self.namespace
        );
        text.push_str(
            "| pod | container | cpu request | cpu limit | cpu now | memory request | memory limit | memory now | restarts |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        text.extend(self.rows.iter().take(CONTAINERS).map(Row::cells));
        text.push_str("\n## What stands out\n\n");
        let shown = self.rows.iter().take(CONTAINERS);
        let found: Vec<String> = shown.flat_map(Row::findings).collect();
        if found.is_empty() {
            text.push_str("Nothing.\n");
        }
        text.push_str(&list(found));
        text.push_str("\n## What these figures are\n\n");
        text.push_str(&list(self.remarks()));
        text.push_str(
            "\n## What to do\n\n\
             1. Group the pods that a controller made: the change belongs in its template.\n\
             2. Propose requests and limits for each container, with the reason: memory requests equal to limits for what must \
             not be killed, cpu requests by use, a cpu limit only where one is wanted. Keep a margin above what is used now.\n\
             3. Say what the changes free or cost in all, and which of them are uncertain without measuring for longer.\n\
             Change or delete nothing without being asked to.\n",
        );
        text
    }

    fn remarks(&self) -> Vec<String> {
        let mut said = vec![match &self.measured {
            Measured::Yes => {
                "\"now\" is the average of about the last minute: a moment, not a peak.".to_owned()
            }
            Measured::No => {
                "Use is not measured: this cluster has no metrics API (metrics-server).".to_owned()
            }
            Measured::Refused(refusal) => format!("Use could not be read. {refusal}"),
        }];
        if self.rows.is_empty() {
            said.push("No pod is running or waiting to run.".to_owned());
        }
        if self.rows.len() > CONTAINERS || self.is_cut {
            said.push(format!("Only the first {CONTAINERS} containers are shown; there are more."));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows_of(resources: Value, status: Value) -> Vec<Row> {
        let pod = json!({
            "metadata": { "name": "web" },
            "spec": { "containers": [{ "name": "main", "resources": resources }] },
            "status": status,
        });
        rows(serde_json::from_value(pod).unwrap())
    }

    fn facts(mut rows: Vec<Row>, usage: Value) -> Facts {
        let usage: Vec<PodUsage> = serde_json::from_value(usage).unwrap();
        measure(&mut rows, &usage);
        Facts { namespace: "shop".parse().unwrap(), rows, is_cut: false, measured: Measured::Yes }
    }

    fn usage(cpu: &str, memory: &str) -> Value {
        json!([{ "metadata": { "name": "web" }, "containers": [
            { "name": "main", "usage": { "cpu": cpu, "memory": memory } },
        ] }])
    }

    #[test]
    fn what_is_used_is_compared_with_what_is_given() {
        let given = json!({ "requests": { "cpu": "1", "memory": "64Mi" }, "limits": { "memory": "128Mi" } });
        let text = facts(rows_of(given, json!({})), usage("100m", "120Mi")).text();
        for part in [
            "| web | main | 1 | - | 100m | 64Mi | 128Mi | 120Mi | 0 |",
            "- web/main: it uses 100m of 1 cpu that it is promised, which nobody else gets",
            "- web/main: it uses 120Mi of at most 128Mi memory: it is about to be killed",
            "- web/main: it uses 120Mi memory and is promised 64Mi",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn what_is_well_chosen_does_not_stand_out() {
        let given =
            json!({ "requests": { "cpu": "100m", "memory": "64Mi" }, "limits": { "memory": "128Mi" } });
        let text = facts(rows_of(given, json!({})), usage("50m", "60Mi")).text();
        assert!(text.contains("## What stands out\n\nNothing.\n"), "{text}");
    }

    #[test]
    fn a_container_that_is_promised_nothing_and_one_that_ran_out_of_memory() {
        let status = json!({ "containerStatuses": [{
            "name": "main", "ready": true, "restartCount": 4, "image": "", "imageID": "",
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }] });
        let rows = rows_of(json!({ "limits": { "memory": "32Mi" } }), status);
        let found = rows[0].findings();
        assert!(found[0].contains("killed for using more memory than its limit (32Mi)"), "{found:?}");
        assert!(found[1].contains("promised no cpu"), "{found:?}");
        assert_eq!((found.len(), rows[0].restarts), (2, 4));
    }

    #[test]
    fn pods_that_are_over_do_not_count() {
        assert!(rows_of(json!({}), json!({ "phase": "Succeeded" })).is_empty());
    }

    #[test]
    fn a_cluster_that_does_not_measure_is_said_to_be_one() {
        let mut facts = facts(Vec::new(), json!([]));
        facts.measured = Measured::No;
        let text = facts.text();
        assert!(text.contains("has no metrics API") && text.contains("No pod is running"), "{text}");
    }

    #[test]
    fn of_very_many_containers_the_first_are_shown() {
        let rows: Vec<Row> = (0..150).flat_map(|_| rows_of(json!({}), json!({}))).collect();
        let text = facts(rows, json!([])).text();
        assert_eq!(text.matches("| web | main |").count(), CONTAINERS);
        assert!(text.contains("Only the first 100 containers"), "{text}");
    }
}
