use serde_json::{Value, json};

use super::super::detail::of_pull;
use super::*;

fn sentence(trouble: &Trouble, spec: Value) -> String {
    trouble.sentence(&serde_json::from_value(spec).expect("a spec"))
}

fn told(trouble: &Trouble) -> String {
    sentence(trouble, json!({"image": "registry.example.com/weather:1"}))
}

fn probe(probe: Probe, failure: Failure) -> Trouble {
    Trouble::Probe(ProbeFailure { probe, failure })
}

#[test]
fn each_trouble_is_one_sentence_with_the_field_to_change() {
    let ended = |code, line: Option<&str>| Trouble::Ended { code, last_line: line.map(Into::into) };
    for (trouble, expected) in [
        (
            Trouble::Quota("exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2".into()),
            "pods cannot be created: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2; change spec.resources or spec.replicas, or the namespace's ResourceQuota",
        ),
        (
            Trouble::PodSecurity("violates PodSecurity \"restricted:latest\": runAsNonRoot != true".into()),
            "pods cannot be created: violates PodSecurity \"restricted:latest\": runAsNonRoot != true; change spec.securityContext",
        ),
        (
            Trouble::PodSecurity(
                "violates PodSecurity \"baseline:latest\": hostPath volumes (volume \"x\")".into(),
            ),
            "pods cannot be created: violates PodSecurity \"baseline:latest\": hostPath volumes (volume \"x\"); change spec.volumes",
        ),
        (
            Trouble::NotCreated(
                "error looking up service account team/robot: serviceaccount \"robot\" not found".into(),
            ),
            "pods cannot be created: error looking up service account team/robot: serviceaccount \"robot\" not found; create it, or change spec.serviceAccount",
        ),
        (Trouble::ImageName, "\"registry.example.com/weather:1\" is no image name; change spec.image"),
        (
            Trouble::Image("registry.example.com/weather:1: not found".into()),
            "image \"registry.example.com/weather:1\" cannot be pulled: the registry has no such image; change spec.image",
        ),
        (
            Trouble::Image("failed to authorize: 401 Unauthorized".into()),
            "image \"registry.example.com/weather:1\" cannot be pulled: the registry denies it, or has no such image; change spec.image or spec.imagePullSecrets",
        ),
        (
            Trouble::Image(
                "failed to do request: dial tcp: lookup registry.example.com: no such host".into(),
            ),
            "image \"registry.example.com/weather:1\" cannot be pulled: no such host; change spec.image, or mend the way to the registry",
        ),
        (
            Trouble::Image("Container image \"x\" is not present with pull policy of Never".into()),
            "image \"registry.example.com/weather:1\" cannot be pulled: it is not on the node; change spec.imagePullPolicy, or load the image",
        ),
        (
            Trouble::Configuration("secret \"weather\" not found".into()),
            "the container cannot be configured: secret \"weather\" not found; create it, or change spec.env or spec.envFrom",
        ),
        (
            Trouble::Configuration("container has runAsNonRoot and image will run as root".into()),
            "the container cannot be configured: container has runAsNonRoot and image will run as root; change spec.securityContext.runAsUser",
        ),
        (
            Trouble::Volume("volume \"creds\" cannot be mounted: secret \"nope\" not found".into()),
            "volume \"creds\" cannot be mounted: secret \"nope\" not found; create it, or change spec.volumes",
        ),
        (
            Trouble::Start("exec: \"/nope\": no such file or directory".into()),
            "the process cannot be started: exec: \"/nope\": no such file or directory; change spec.image or spec.command",
        ),
        (
            Trouble::Memory,
            "the process was killed because it used more memory than its limit; raise spec.resources.limits.memory",
        ),
        (
            ended(3, Some("no API_TOKEN")),
            "the process ended with exit code 3, its last line was \"no API_TOKEN\"; change spec.command, spec.args, spec.env or spec.config",
        ),
        (
            ended(1, None),
            "the process ended with exit code 1, it wrote nothing; change spec.command, spec.args, spec.env or spec.config",
        ),
        (
            ended(0, Some("bye")),
            "the process ended by itself with exit code 0, where a server goes on; change spec.command or spec.args",
        ),
        (
            probe(Probe::Readiness, Failure::Status(404)),
            "the readiness probe GET :8080/ready is answered with 404; change spec.probes.readinessPath",
        ),
        (
            probe(Probe::Liveness, Failure::Status(404)),
            "the liveness probe GET :8080/health is answered with 404; change spec.probes.livenessPath",
        ),
        (
            probe(Probe::Readiness, Failure::Status(503)),
            "the readiness probe GET :8080/ready is answered with 503; the server's log says why, or change spec.probes.readinessPath",
        ),
        (
            probe(Probe::Readiness, Failure::Refused),
            "the readiness probe GET :8080/ready is refused, as nothing listens there; change spec.port",
        ),
        (
            probe(Probe::Liveness, Failure::TimedOut),
            "the liveness probe GET :8080/health is not answered in time; change spec.probes.livenessPath, or spec.probes.type",
        ),
        (
            Trouble::Unschedulable("0/1 nodes are available: 1 Insufficient cpu".into()),
            "no node takes the pods: 0/1 nodes are available: 1 Insufficient cpu; change spec.resources.requests",
        ),
        (
            Trouble::Foreign { container: "mesh".into(), said: "it ended with exit code 1".into() },
            "container \"mesh\", which the operator has not made, does not come up: it ended with exit code 1; see what adds it to pods",
        ),
    ] {
        assert_eq!(told(&trouble), expected);
    }
}

#[test]
fn the_sentence_names_what_the_spec_says() {
    let spec = json!({
        "image": "weather:1",
        "port": 9000,
        "command": ["/serve"],
        "probes": {"readinessPath": "/r"},
        "resources": {"limits": {"memory": "64Mi"}},
    });
    let not_found = probe(Probe::Readiness, Failure::Status(404));
    assert!(sentence(&not_found, spec.clone()).contains("GET :9000/r is answered"));
    assert!(sentence(&Trouble::Memory, spec.clone()).contains("its limit of 64Mi;"));
    assert!(sentence(&Trouble::Start("x".into()), spec).ends_with("change spec.command"));
    let tcp = json!({"image": "weather:1", "probes": {"type": "TCP"}});
    let refused = probe(Probe::Readiness, Failure::Refused);
    assert!(sentence(&refused, tcp).starts_with("the readiness probe of port 8080 is refused"));
}

#[test]
fn what_goes_wrong_with_the_gateway_points_at_what_is_its_own() {
    let gateway = || json!({"toolSelector": {}});
    let image = sentence(&Trouble::Image("not found".into()), gateway());
    assert!(image.starts_with("the gateway's image cannot be pulled: "), "{image}");
    assert!(image.ends_with("change the operator's --gateway-image, or spec.imagePullSecrets"), "{image}");
    let ended = sentence(&Trouble::Ended { code: 1, last_line: Some("no".into()) }, gateway());
    assert!(ended.ends_with("change spec.env or spec.config"), "{ended}");
    let by_mcp = json!({"image": "weather:1", "probes": {"type": "MCP"}});
    let answer =
        Failure::Other("error: http://127.0.0.1:8080/mcp: answered initialize with status 404".into());
    let told = sentence(&probe(Probe::Readiness, answer), by_mcp.clone());
    assert!(
        told.starts_with("the readiness probe by MCP fails: ")
            && told.ends_with("change spec.path or spec.transport")
    );
    let install = Trouble::Foreign { container: INSTALL.into(), said: "image not found".into() };
    assert!(
        sentence(&install, by_mcp).starts_with("the gateway's binary, by which spec.probes.type MCP asks")
    );
}

#[test]
fn what_the_scheduler_says_points_at_the_fields() {
    for (said, fields) in [
        ("0/3 nodes are available: 3 Insufficient memory", "spec.resources.requests"),
        (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector",
            "spec.resources.requests or spec.nodeSelector or spec.affinity",
        ),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: }", "spec.tolerations"),
        (
            "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints",
            "spec.topologySpreadConstraints",
        ),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims", "spec.volumes"),
        (
            "no nodes available to schedule pods",
            "spec.resources.requests, spec.nodeSelector or spec.tolerations, or add a node",
        ),
    ] {
        assert_eq!(fields_for(said), fields, "{said}");
    }
}

#[test]
fn what_refuses_pods_is_told_apart_and_names_no_pod() {
    for (message, expected) in [
        (
            "pods \"weather-7d9f-x2x7v\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
            Trouble::Quota("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1".into()),
        ),
        (
            "pods \"weather-7d9f-bbbbb\" is forbidden: violates PodSecurity \"restricted:latest\": x",
            Trouble::PodSecurity("violates PodSecurity \"restricted:latest\": x".into()),
        ),
        (
            "admission webhook \"x\" denied the request",
            Trouble::NotCreated("admission webhook \"x\" denied the request".into()),
        ),
    ] {
        assert_eq!(Trouble::creating(message), expected);
    }
}

#[test]
fn only_what_may_mend_itself_may_pass() {
    assert!(Trouble::Unschedulable("".into()).may_pass());
    assert!(probe(Probe::Readiness, Failure::Refused).may_pass());
    assert!(probe(Probe::Readiness, Failure::Status(503)).may_pass());
    assert!(!probe(Probe::Readiness, Failure::Status(404)).may_pass());
    assert!(!probe(Probe::Liveness, Failure::Refused).may_pass(), "it is started again and again");
    assert!(!Trouble::Image("".into()).may_pass());
}

/// What containerd says of an image, whose name it has three times.
fn not_pulled(image: &str, why: &str) -> Trouble {
    let (registry, rest) = image.split_once('/').expect("a registry");
    let (repository, tag) = rest.rsplit_once(':').expect("a tag");
    let said = format!(
        "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = Unavailable desc = failed to pull and unpack image \
         \"{image}\": failed to resolve reference \"{image}\": failed to do request: Head \
         \"https://{registry}/v2/{repository}/manifests/{tag}\": {why}"
    );
    Trouble::Image(of_pull(&said).into())
}

const LONG_NAME: &str =
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com/platform/mcp/github-tools-server:1.4.0-20261101";

#[test]
fn an_image_of_a_long_name_is_told_with_what_stands_at_the_end() {
    for (why, expected) in [
        (
            "dial tcp 10.0.0.1:443: connect: network is unreachable",
            "network is unreachable; change spec.image, or mend the way to the registry",
        ),
        (
            "denied: User: anonymous is not authorized",
            "the registry denies it, or has no such image; change spec.image or spec.imagePullSecrets",
        ),
        ("not found", "the registry has no such image; change spec.image"),
    ] {
        let told = sentence(&not_pulled(LONG_NAME, why), json!({"image": LONG_NAME}));
        assert_eq!(told, format!("image \"{LONG_NAME}\" cannot be pulled: {expected}"));
    }
}

#[test]
fn what_no_rule_knows_of_a_pull_is_told_from_a_word_on_to_its_end() {
    let why = "unexpected status from HEAD request: 500 Internal Server Error";
    let told = sentence(&not_pulled(LONG_NAME, why), json!({"image": LONG_NAME}));
    let (_, detail) = told.split_once("cannot be pulled: …").expect("it is cut");
    let (detail, field) = detail.rsplit_once("; change ").expect("a field");
    assert!(detail.len() <= 300 && detail.ends_with(why), "{told}");
    assert!(detail.starts_with("failed to do request"), "{told}");
    assert_eq!(field, "spec.image or spec.imagePullSecrets");
    let Trouble::Image(said) = not_pulled(LONG_NAME, why) else { unreachable!() };
    assert!(Trouble::Image(said).said().ends_with(why));
}

#[test]
fn every_reason_of_a_scheduler_that_says_much_has_its_field() {
    let taints: Vec<String> = (0..6)
        .map(|n| format!("1 node(s) had untolerated taint {{example.com/dedicated-to-team: number-{n}}}"))
        .collect();
    let said = format!("0/7 nodes are available: {}, 1 Insufficient memory", taints.join(", "));
    assert!(said.len() > 300);
    let told = told(&Trouble::Unschedulable(said.into()));
    assert!(told.ends_with("…; change spec.resources.requests or spec.tolerations"), "{told}");
}
