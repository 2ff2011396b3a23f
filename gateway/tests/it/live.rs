//! A catalog that changes all the time: applies, edits, label moves and deletes of files, on three gateways.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::support::gateway::{Gateway, Objects, tool};
use super::support::wait;

const CHANGES: usize = 1_000;

/// What the objects say: the description of each tool that the server selects.
type Said = BTreeMap<String, String>;

fn labelled(name: &str, description: &str, team: &str) -> Value {
    let mut object = tool(name, &json!({"description": description}));
    object["metadata"]["labels"] = json!({"team": team});
    object
}

async fn list(gateway: &Gateway) -> Said {
    let listed = gateway.client().modern("tools/list", json!({})).await.result();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tools = listed["tools"].as_array().unwrap().iter();
    tools.map(|tool| (text(&tool["name"]), text(&tool["description"]))).collect()
}

async fn assert_serve(gateways: &[Gateway], said: &Said) {
    for gateway in gateways {
        wait::until("what is served is what the objects say", async || {
            let listed = list(gateway).await;
            if listed == *said { Ok(()) } else { Err(format!("{} of {} tools", listed.len(), said.len())) }
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_served_is_what_the_objects_say() {
    let objects = Objects::new(&[]);
    let mut server = super::support::gateway::server(&json!({}));
    server["spec"]["toolSelector"] = json!({"matchLabels": {"team": "ours"}});
    objects.write("server", &server);
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(Gateway::start(&objects, nowhere, &[], &[]).await);
    }
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let (mut all, mut said) = (BTreeSet::<String>::new(), Said::new());
    let begun = Instant::now();
    for change in 0..CHANGES {
        let known = all.iter().choose(&mut random).cloned();
        match (random.random_range(0..6), known) {
            (0, Some(name)) => {
                objects.remove(&name);
                all.remove(&name);
                said.remove(&name);
            }
            (kind, known) => {
                let name = known.filter(|_| kind < 3).unwrap_or_else(|| format!("tool-{change}"));
                let is_ours = random.random_bool(0.7);
                let description = format!("as of change {change}");
                objects.write(&name, &labelled(&name, &description, if is_ours { "ours" } else { "theirs" }));
                all.insert(name.clone());
                said.remove(&name);
                if is_ours {
                    said.insert(name, description);
                }
            }
        }
        if change % 100 == 99 {
            assert_serve(&gateways, &said).await;
        }
    }
    assert!(!said.is_empty(), "seed {seed}");
    assert_serve(&gateways, &said).await;
    println!("{CHANGES} changes in {:?}, seed {seed}", begun.elapsed());
}

#[tokio::test]
async fn files_that_have_not_changed_are_not_read_again() {
    let objects = Objects::new(&[tool("first", &json!({"description": "one"}))]);
    let gateway = Gateway::start(&objects, "127.0.0.1:9".parse().unwrap(), &[], &[]).await;
    objects.write("second", &tool("second", &json!({"description": "another"})));
    wait::until("a change is served", async || match list(&gateway).await.len() {
        2 => Ok(()),
        listed => Err(format!("{listed} tools")),
    })
    .await;
    assert_eq!(gateway.process.output.containing("what is served has not"), Vec::<String>::new());
}
