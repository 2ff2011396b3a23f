//! The task that asks the pods.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use mcp_crds::catalog::ObjectKey;
use tokio::time::{MissedTickBehavior, interval};

use super::Redis;

/// How often pods are asked.
const PERIOD: Duration = Duration::from_secs(10);
/// How many servers' at a time.
const ASKED: usize = 16;

/// Who asks.
pub trait Ask: Send + Sync {
    /// Whether Redis answers this pod; nothing where it does not say. Bounded in time.
    fn ask(&self, pod: SocketAddr) -> impl Future<Output = Option<bool>> + Send;
}

/// Asks the pods of every server that uses Redis, until `ending`. `changed` is called with each server for which the answer is
/// another than before, after [`Redis::answers`] knows it.
pub async fn run(
    redis: Arc<Redis>,
    pods: impl Fn(&ObjectKey) -> Vec<IpAddr>,
    ask: impl Ask,
    changed: impl Fn(ObjectKey),
    ending: impl Future<Output = ()>,
) {
    let mut ending = pin!(ending);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut ending => return,
            _ = ticks.tick() => {}
        }
        let servers = redis.all().into_iter().map(|(key, uid, port)| {
            let pods: Vec<SocketAddr> = pods(&key).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
            let ask = &ask;
            async move { (key, uid, of_all(ask, &pods).await) }
        });
        let mut told = pin!(stream::iter(servers).buffer_unordered(ASKED));
        loop {
            let next = tokio::select! {
                biased;
                () = &mut ending => return,
                next = told.next() => next,
            };
            let Some((key, uid, answers)) = next else { break };
            if answers.is_some_and(|answers| redis.told(&key, &uid, answers)) {
                changed(key);
            }
        }
    }
}

/// Whether it answers all of them; nothing where none says.
async fn of_all(ask: &impl Ask, pods: &[SocketAddr]) -> Option<bool> {
    let mut all = None;
    for pod in pods {
        if let Some(answers) = ask.ask(*pod).await {
            all = Some(all.unwrap_or(true) && answers);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use mcp_crds::kind::Kind;
    use parking_lot::Mutex;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    /// What pods say, by their address.
    type Said = Arc<Mutex<HashMap<SocketAddr, bool>>>;

    struct Pods(Said);

    impl Ask for Pods {
        async fn ask(&self, pod: SocketAddr) -> Option<bool> {
            self.0.lock().get(&pod).copied()
        }
    }

    fn pod(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, number], 9090))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_called_for_where_the_answer_has_become_another() {
        let (redis, said) = (Arc::new(Redis::default()), Said::default());
        let key = ObjectKey::new(Kind::Server, "ns", "main");
        redis.observe(&key, "1", 9090);
        let (tell, mut changed) = mpsc::unbounded_channel();
        let addresses = |_: &ObjectKey| vec![pod(1).ip(), pod(2).ip()];
        let asking = run(
            Arc::clone(&redis),
            addresses,
            Pods(Arc::clone(&said)),
            move |key| tell.send(key).unwrap(),
            std::future::pending(),
        );
        let look = async {
            let quiet = PERIOD * 3;
            assert!(timeout(quiet, changed.recv()).await.is_err(), "no pod has said anything");
            assert_eq!(redis.answers(&key, "1"), None);
            for (of_second, answers) in [(true, true), (false, false), (true, true)] {
                said.lock().extend([(pod(1), true), (pod(2), of_second)]);
                assert_eq!(changed.recv().await.as_ref(), Some(&key));
                assert_eq!(redis.answers(&key, "1"), Some(answers));
                assert!(timeout(quiet, changed.recv()).await.is_err(), "it is told once");
            }
            said.lock().clear();
            assert!(timeout(quiet, changed.recv()).await.is_err());
            assert_eq!(redis.answers(&key, "1"), Some(true), "what was said last holds");
            redis.observe(&key, "2", 9090);
            assert_eq!(redis.answers(&key, "2"), None, "it is another server");
        };
        tokio::select! {
            () = asking => panic!("it ended"),
            () = look => {}
        }
    }
}
