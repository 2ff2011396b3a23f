//! What a server that is being deleted still has in Redis.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::finalize;
use super::identity::Identity;
use crate::redis::removal::{Progress, Removal, Removals, Target};

/// For how long after it was asked for a deletion waits for its keys to be removed. They go by themselves in the end, so nobody
/// has to wait for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long is tried in any case: the operator may have been away when the server was deleted.
const LEAST: Duration = Duration::from_secs(5);

/// What becomes of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keys {
    /// There are none, or none any more.
    None,
    /// They are being removed. A sentence says why they are still there, where that has failed so far.
    Removing(Option<String>),
    /// They stay until their lifetimes are over. A sentence says why.
    Left(String),
}

/// Has the keys of a server that is being deleted removed, and says how far that has come. It goes by what is stored, whether or
/// not the rest of it keeps the rules.
pub(super) fn of(removals: &Removals, identity: &Identity, document: &Value, now: Timestamp) -> Keys {
    let redis = document.pointer("/spec/redis").filter(|redis| redis.is_object());
    // Only the gateway uses Redis, and it runs where there is no image.
    let has_image = document.pointer("/spec/image").is_some_and(|image| !image.is_null());
    let Some(redis) = redis.filter(|_| !has_image && finalize::holds(document)) else {
        removals.forget(&identity.key());
        return Keys::None;
    };
    let Some(target) = Target::read(redis) else {
        return Keys::Left(left("", "spec.redis names none"));
    };
    let at = format!(" at {target}");
    let removal = Removal { key: identity.key(), uid: identity.uid.clone(), target };
    match removals.progress(removal, patience(document, now)) {
        Progress::Running(failure) => {
            let sentence = |why| {
                let seconds = PATIENCE.as_secs();
                format!(
                    "its keys in Redis{at} cannot be removed, which is tried for {seconds} seconds: {why}"
                )
            };
            Keys::Removing(failure.map(sentence))
        }
        Progress::Done => Keys::None,
        Progress::GivenUp(why) => Keys::Left(left(&at, &why)),
    }
}

fn left(at: &str, why: &str) -> String {
    format!("its keys in Redis{at} were not removed, and expire by themselves: {why}")
}

/// How long a removal that begins now may go on. Whatever the clock was set to since the deletion, it is between its bounds.
fn patience(document: &Value, now: Timestamp) -> Duration {
    let deleted = document.pointer("/metadata/deletionTimestamp").and_then(Value::as_str);
    let deleted: Option<Timestamp> = deleted.and_then(|time| time.parse().ok());
    let since = deleted.map(|deleted| now.duration_since(deleted));
    // It fails for what is yet to come.
    let since = since.and_then(|since| Duration::try_from(since).ok()).unwrap_or_default();
    PATIENCE.saturating_sub(since).max(LEAST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::fixture::{NOW, at, identity, mk_server};

    fn mk_deleted(spec: Value) -> Value {
        let mut document = mk_server(spec);
        document["metadata"]["deletionTimestamp"] = at(NOW).to_string().into();
        document["metadata"]["finalizers"] = json!(["mcp.example.com/finalizer"]);
        document
    }

    fn with_redis() -> Value {
        mk_deleted(json!({"redis": {"serviceName": "redis"}}))
    }

    fn keys(document: &Value) -> Keys {
        of(&Removals::default(), &identity(document), document, at(NOW))
    }

    #[test]
    fn it_is_tried_for_thirty_seconds_from_the_deletion_whatever_the_clock_says() {
        let document = with_redis();
        for (second, expected) in [
            (NOW, 30),
            (NOW + 10, 20),
            // It was away, or its clock runs ahead.
            (NOW + 29, 5),
            (NOW + 86_400, 5),
            // Its clock is behind, or was set back.
            (NOW - 1, 30),
            (0, 30),
        ] {
            assert_eq!(patience(&document, at(second)), Duration::from_secs(expected), "{second}");
        }
        for wrong in [json!("soon"), json!(1), Value::Null] {
            let mut document = document.clone();
            document["metadata"]["deletionTimestamp"] = wrong;
            assert_eq!(patience(&document, at(NOW)), PATIENCE);
        }
    }

    #[test]
    fn who_has_no_gateway_or_no_redis_or_has_been_released_has_no_keys() {
        let mut released = with_redis();
        released["metadata"]["finalizers"] = json!(["example.com/other"]);
        let image = json!({"image": "server:1", "redis": {"serviceName": "redis"}});
        for document in
            [mk_deleted(image), mk_deleted(json!({})), mk_deleted(json!({"redis": null})), released]
        {
            assert_eq!(keys(&document), Keys::None, "{document}");
        }
        let null_image = json!({"image": null, "redis": {"serviceName": "redis"}});
        assert_eq!(keys(&mk_deleted(null_image)), Keys::Removing(None));
    }

    #[test]
    fn a_redis_that_cannot_be_one_is_not_looked_for() {
        for redis in [
            json!({}),
            json!({"serviceName": 1}),
            json!({"serviceName": "10.0.0.1"}),
            json!({"serviceName": "redis:6379"}),
            json!({"serviceName": "redis", "port": 0}),
            json!({"serviceName": "redis", "port": 65_536}),
            json!({"serviceName": "redis", "database": -1}),
            json!({"serviceName": "redis", "passwordSecretRef": "secret"}),
        ] {
            let Keys::Left(why) = keys(&mk_deleted(json!({"redis": redis}))) else { panic!("{redis}") };
            assert_eq!(
                why,
                "its keys in Redis were not removed, and expire by themselves: spec.redis names none"
            );
        }
        // Whatever else is wrong with the object.
        let broken = json!({"port": "eighty", "redis": {"serviceName": "redis"}});
        assert_eq!(keys(&mk_deleted(broken)), Keys::Removing(None));
    }
}
