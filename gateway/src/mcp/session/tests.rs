use std::collections::HashSet;

use super::sessions::Refused;
use super::*;

const LIFETIME: Duration = Duration::from_secs(60);

fn mk_sessions(max: usize) -> Sessions {
    Sessions::new(max, LIFETIME, None)
}

async fn begin(sessions: &Sessions, now: Instant) -> Result<String, Refused> {
    sessions.begin(Version::V2025_11_25, Abilities::default(), now).await
}

async fn get(sessions: &Sessions, id: &str, now: Instant) -> Result<Arc<Session>, Missing> {
    sessions.get(id, Version::ASSUMED, now).await
}

async fn begun(sessions: &Sessions, now: Instant) -> (String, Arc<Session>) {
    let id = begin(sessions, now).await.expect("room");
    let session = get(sessions, &id, now).await.expect("a session");
    (id, session)
}

#[tokio::test]
async fn a_lifetime_begins_anew_with_each_use() {
    let (sessions, start) = (mk_sessions(10), Instant::now());
    let id = begin(&sessions, start).await.unwrap();
    assert!(get(&sessions, &id, start + LIFETIME * 9 / 10).await.is_ok());
    assert!(get(&sessions, &id, start + LIFETIME * 18 / 10).await.is_ok());
    assert_eq!(get(&sessions, &id, start + LIFETIME * 28 / 10).await.unwrap_err(), Missing::Unknown);
    assert_eq!(sessions.count(start).await.count, 0);
}

#[tokio::test]
async fn there_is_room_again_when_sessions_are_over() {
    let (sessions, start) = (mk_sessions(2), Instant::now());
    let first = begin(&sessions, start).await.unwrap();
    begin(&sessions, start).await.unwrap();
    assert_eq!(begin(&sessions, start).await, Err(Refused::Full));
    assert_eq!(sessions.end(&first).await, Ok(()));
    assert_eq!(sessions.end(&first).await, Err(Missing::Unknown));
    begin(&sessions, start).await.unwrap();
    assert!(begin(&sessions, start).await.is_err());
    assert!(begin(&sessions, start + LIFETIME).await.is_ok());
    assert_eq!(sessions.count(start).await.count, 1);
}

#[test]
fn ids_are_visible_ascii_and_never_the_same() {
    let ids: HashSet<String> = (0..1000).map(|_| random_text()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_graphic())));
}

#[tokio::test]
async fn a_request_is_cancelled_by_its_id_and_forgotten_when_it_is_done() {
    let sessions = mk_sessions(1);
    let (_, session) = begun(&sessions, Instant::now()).await;
    let id = Id::from("a".to_owned());
    let call = session.begin(&id).expect("room");
    assert!(session.begin(&id).is_none(), "the id is in flight");
    session.cancel(&id).await;
    assert!(call.cancelled.is_cancelled());
    drop(call);
    assert!(session.state.lock().here.is_none());
    assert!(session.begin(&id).is_some());
}

#[tokio::test]
async fn a_second_stream_ends_the_first_and_is_not_ended_by_it() {
    let sessions = mk_sessions(1);
    let (id, session) = begun(&sessions, Instant::now()).await;
    let first = session.open_stream().await;
    let second = session.open_stream().await;
    assert!(first.is_cancelled());
    session.close_stream(&first);
    assert!(!second.is_cancelled());
    assert_eq!(sessions.end(&id).await, Ok(()));
    assert!(second.is_cancelled());
}

#[tokio::test]
async fn updates_are_told_once() {
    let sessions = mk_sessions(1);
    let (_, session) = begun(&sessions, Instant::now()).await;
    assert_eq!(session.subscribe("a:1", Some(1)).await, Ok(true));
    assert_eq!(session.subscribe("a:2", None).await, Ok(true));
    assert_eq!(session.updated(|_| Some(1)).await, [Box::from("a:2")]);
    assert!(session.updated(|_| Some(1)).await.is_empty());
    session.unsubscribe("a:2").await.unwrap();
    assert_eq!(session.updated(|_| None).await, [Box::from("a:1")]);
    let mut taken = 0;
    for n in 0..200 {
        taken += usize::from(session.subscribe(&format!("b:{n}"), None).await == Ok(true));
    }
    assert_eq!(taken, MAX_SUBSCRIPTIONS - 1);
}

#[tokio::test]
async fn an_answer_finds_who_waits_for_it() {
    let sessions = mk_sessions(1);
    let (_, session) = begun(&sessions, Instant::now()).await;
    let (id, answering) = session.expect_answer();
    session.answer(&Id::from("other".to_owned()), Ok(Answer::from(Box::from("{}")))).await;
    session.answer(&id, Ok(Answer::from(Box::from("{\"a\":1}")))).await;
    assert_eq!(answering.await.unwrap().unwrap().text(), "{\"a\":1}");
    assert!(session.state.lock().here.is_none());
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let abilities = serde_json::value::to_raw_value(&serde_json::json!({"sampling": {}})).unwrap();
    let (version, log_level) = (Version::V2025_06_18, LogLevel::Error);
    let record = sessions::Record { version, abilities: Abilities::read(Some(&abilities)), log_level };
    assert_eq!(sessions::Record::read(&record.text()), Some(record));
    assert_eq!(sessions::Record::read("{}"), None);
}
