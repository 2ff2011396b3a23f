//! One server's keys go, and everything else stays.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mcp_redis::{Lookup, Prefix, Program, Settings, remove};
use tokio::time::timeout;

use super::support::redis::Redis;

const HERE: Lookup = Lookup::At(IpAddr::V4(Ipv4Addr::LOCALHOST));
const TESTS: Program = Program { name: "tests", version: "1" };

/// The first database of a Redis, by the name that only pods know it by.
fn settings(redis: &Redis) -> Settings {
    let address = format!("redis.infra.svc:{}", redis.port);
    Settings { address, database: 0, tls: false }
}

async fn removed(settings: &Settings, prefix: &Prefix) -> redis::RedisResult<u64> {
    removed_with(settings, None, prefix).await
}

async fn removed_with(
    settings: &Settings,
    password: Option<&str>,
    prefix: &Prefix,
) -> redis::RedisResult<u64> {
    let password = password.map(|text| text.parse().unwrap_or_else(|never| match never {}));
    let client = settings.client(TESTS, password.as_ref()).expect("a client");
    remove(&client, HERE, prefix).await
}

/// Makes this many keys that begin so.
async fn fill(redis: &Redis, prefix: &str, count: usize) {
    let prefix = prefix.replace('\\', r"\\");
    let script = format!(
        r#"EVAL "for i = 1, ARGV[2] do redis.call('SET', ARGV[1] .. i, 'x', 'EX', '600') end return 'made'" 0 "{prefix}" {count}"#
    );
    assert_eq!(redis.ask(&script).await.expect("an answer"), "$4\r\nmade\r\n");
}

async fn count(redis: &Redis) -> String {
    redis.ask("DBSIZE").await.expect("an answer")
}

#[tokio::test]
async fn the_keys_of_one_server_go_however_many_there_are() {
    let redis = Redis::start().await;
    let ours = Prefix::new("team", "main", Some("a1"));
    fill(&redis, &ours.to_string(), 5_000).await;
    let others = ["mcp:team:main:a2:", "mcp:team:main:a:", "mcp:team:mai:a1:", "mcp:tea:main:a1:", "other:"];
    for other in others {
        fill(&redis, other, 1_000).await;
    }
    assert_eq!(removed(&settings(&redis), &ours).await.expect("an answer"), 5_000);
    assert_eq!(count(&redis).await, ":5000\r\n");
    assert_eq!(removed(&settings(&redis), &ours).await.expect("an answer"), 0, "once more does no harm");
    assert_eq!(count(&redis).await, ":5000\r\n");
}

#[tokio::test]
async fn only_its_own_database_is_looked_at() {
    let redis = Redis::start().await;
    let ours = Prefix::new("team", "main", Some("a1"));
    fill(&redis, &ours.to_string(), 3).await;
    let elsewhere = Settings { database: 2, ..settings(&redis) };
    assert_eq!(removed(&elsewhere, &ours).await.expect("an answer"), 0);
    assert_eq!(count(&redis).await, ":3\r\n");
}

#[tokio::test]
async fn a_name_that_reads_like_a_pattern_is_taken_as_it_is() {
    let redis = Redis::start().await;
    for uid in ["*", "a?", "[ab]", r"a\b"] {
        let ours = Prefix::new("team", "main", Some(uid));
        for prefix in [ours.to_string().as_str(), "mcp:team:main:ab:", "mcp:team:main:b:"] {
            fill(&redis, prefix, 2).await;
        }
        assert_eq!(removed(&settings(&redis), &ours).await.expect("an answer"), 2, "{uid}");
        assert_eq!(count(&redis).await, ":4\r\n", "{uid}");
    }
}

#[tokio::test]
async fn who_does_not_know_the_password_removes_nothing() {
    let redis = Redis::start().await;
    let ours = Prefix::new("team", "main", Some("a1"));
    fill(&redis, &ours.to_string(), 3).await;
    assert_eq!(redis.ask("CONFIG SET requirepass s3cret").await.expect("an answer"), "+OK\r\n");
    let with = async |password| removed_with(&settings(&redis), Some(password), &ours).await;
    let refused = with("guess").await.expect_err("it is another one");
    assert!(!refused.to_string().contains("guess"), "{refused}");
    assert_eq!(with("s3cret").await.expect("an answer"), 3);
}

#[tokio::test]
async fn a_redis_that_hangs_or_is_gone_is_not_waited_for_for_long() {
    let mut redis = Redis::start().await;
    let ours = Prefix::new("team", "main", Some("a1"));
    fill(&redis, &ours.to_string(), 3).await;
    let settings = settings(&redis);
    redis.pause().await;
    let silent = timeout(Duration::from_secs(50), removed(&settings, &ours)).await.expect("it gives up");
    assert!(silent.expect_err("nobody answers").is_timeout());
    redis.resume();
    assert_eq!(count(&redis).await, ":3\r\n");
    redis.kill().await;
    let gone = removed(&settings, &ours).await.expect_err("nobody is there");
    assert!(gone.is_connection_refusal(), "{gone}");
}
