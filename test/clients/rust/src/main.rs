//! What a user of etcd-client does, against the address that is given. See clients.ts for what is said.

use std::collections::VecDeque;
use std::io::stdin;
use std::time::Duration;

use etcd_client::*;

type Outcome<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn done(step: &str) {
    println!("done {step}");
}

async fn connect(user: Option<(&str, &str)>) -> std::result::Result<Client, Error> {
    let address = std::env::args().nth(1).expect("an address");
    let options = ConnectOptions::new().with_timeout(Duration::from_secs(60));
    let options = match user {
        Some((name, password)) => options.with_user(name, password),
        None => options,
    };
    Client::connect([address], Some(options)).await
}

/// This client leaves it to its user to call again when a connection broke.
async fn put_at_last(client: &mut Client, key: &str, value: &str) -> Outcome {
    for _ in 0..100 {
        if client.put(key, value, None).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("no put in ten seconds".into())
}

#[tokio::main]
async fn main() -> Outcome {
    let mut client = connect(None).await?;
    key_values(&mut client).await?;
    watch(&mut client).await?;
    lease(&mut client).await?;
    lock(&mut client).await?;
    election(&mut client).await?;
    auth(&mut client).await
}

async fn key_values(client: &mut Client) -> Outcome {
    let first = client.put("kv/a", "1", None).await?.header().unwrap().revision();
    let second = client.put("kv/a", "2", Some(PutOptions::new().with_prev_key())).await?;
    assert_eq!(second.header().unwrap().revision(), first + 1);
    assert_eq!(second.prev_key().unwrap().value(), b"1");
    done("put");
    client.put("kv/b", "3", None).await?;
    assert_eq!(client.get("kv/a", None).await?.kvs()[0].value(), b"2");
    let old = client.get("kv/a", Some(GetOptions::new().with_revision(first))).await?;
    assert_eq!(old.kvs()[0].value(), b"1");
    let descending = GetOptions::new().with_prefix().with_sort(SortTarget::Key, SortOrder::Descend);
    assert_eq!(client.get("kv/", Some(descending)).await?.kvs()[0].key(), b"kv/b");
    done("get");
    for (from, to, succeeds) in [("2", "4", true), ("2", "5", false)] {
        let swap = Txn::new()
            .when([Compare::value("kv/a", CompareOp::Equal, from)])
            .and_then([TxnOp::put("kv/a", to, None)])
            .or_else([TxnOp::get("kv/a", None)]);
        assert_eq!(client.txn(swap).await?.succeeded(), succeeds);
    }
    done("txn");
    let deleted = client.delete("kv/", Some(DeleteOptions::new().with_prefix())).await?;
    assert_eq!(deleted.deleted(), 2);
    done("delete");
    Ok(())
}

struct Events {
    stream: WatchStream,
    heard: VecDeque<Event>,
}

impl Events {
    fn of(stream: WatchStream) -> Self {
        Self { stream, heard: VecDeque::new() }
    }

    async fn next(&mut self) -> Outcome<Event> {
        loop {
            if let Some(event) = self.heard.pop_front() {
                return Ok(event);
            }
            let response = self.stream.message().await?.ok_or("the watch ended")?;
            if response.canceled() {
                return Err(response.cancel_reason().into());
            }
            self.heard.extend(response.events().iter().cloned());
        }
    }
}

async fn watch(client: &mut Client) -> Outcome {
    let options = || WatchOptions::new().with_prefix().with_prev_key();
    let mut events = Events::of(client.watch("watch/", Some(options())).await?);
    let seen = client.put("watch/a", "1", None).await?.header().unwrap().revision();
    assert_eq!(events.next().await?.kv().unwrap().value(), b"1");
    done("watch");
    println!("restart");
    stdin().read_line(&mut String::new())?;
    assert!(events.next().await.is_err());
    put_at_last(client, "watch/a", "2").await?;
    client.delete("watch/a", None).await?;
    let resumed = options().with_start_revision(seen + 1);
    let mut events = Events::of(client.watch("watch/", Some(resumed)).await?);
    let event = events.next().await?;
    assert_eq!(event.kv().unwrap().value(), b"2");
    assert_eq!(event.prev_kv().unwrap().value(), b"1");
    // A put whose answer was lost may have been done twice.
    while events.next().await?.event_type() != EventType::Delete {}
    done("watch-resume");
    Ok(())
}

async fn lease(client: &mut Client) -> Outcome {
    let id = client.lease_grant(60, None).await?.id();
    client.put("lease/a", "1", Some(PutOptions::new().with_lease(id))).await?;
    let (mut keeper, mut kept) = client.lease_keep_alive(id).await?;
    keeper.keep_alive().await?;
    assert_eq!(kept.message().await?.unwrap().ttl(), 60);
    let left = client.lease_time_to_live(id, Some(LeaseTimeToLiveOptions::new().with_keys())).await?;
    assert_eq!((left.keys().len(), left.granted_ttl()), (1, 60));
    client.lease_revoke(id).await?;
    assert_eq!(client.get("lease/a", None).await?.count(), 0);
    let short = client.lease_grant(2, None).await?.id();
    let deletes = WatchOptions::new().with_filters([WatchFilterType::NoPut]);
    let mut events = Events::of(client.watch("lease/b", Some(deletes)).await?);
    client.put("lease/b", "1", Some(PutOptions::new().with_lease(short))).await?;
    assert_eq!(events.next().await?.event_type(), EventType::Delete);
    done("lease");
    Ok(())
}

async fn lock(client: &mut Client) -> Outcome {
    let mut other = connect(None).await?;
    let (mine, theirs) = (client.lease_grant(60, None).await?.id(), other.lease_grant(60, None).await?.id());
    let held = client.lock("lock", Some(LockOptions::new().with_lease(mine))).await?;
    let waits = tokio::spawn(async move {
        let taken = other.lock("lock", Some(LockOptions::new().with_lease(theirs))).await?;
        other.unlock(taken.key()).await
    });
    assert!(!waits.is_finished());
    client.unlock(held.key()).await?;
    waits.await??;
    done("lock");
    Ok(())
}

async fn election(client: &mut Client) -> Outcome {
    let id = client.lease_grant(60, None).await?.id();
    let elected = client.campaign("election", "one", id).await?;
    let leader = elected.leader().unwrap().clone();
    let mut observed = client.observe("election").await?;
    assert_eq!(observed.message().await?.unwrap().kv().unwrap().value(), b"one");
    client.proclaim("two", Some(ProclaimOptions::new().with_leader(leader.clone()))).await?;
    assert_eq!(observed.message().await?.unwrap().kv().unwrap().value(), b"two");
    assert_eq!(client.leader("election").await?.kv().unwrap().value(), b"two");
    client.resign(Some(ResignOptions::new().with_leader(leader))).await?;
    done("election");
    Ok(())
}

async fn auth(client: &mut Client) -> Outcome {
    client.role_add("root").await?;
    client.user_add("root", "secret", None).await?;
    client.user_grant_role("root", "root").await?;
    client.role_add("reader").await?;
    client.role_grant_permission("reader", Permission::read("auth/").with_prefix()).await?;
    client.user_add("guest", "guest", None).await?;
    client.user_grant_role("guest", "reader").await?;
    client.auth_enable().await?;
    let mut root = connect(Some(("root", "secret"))).await?;
    root.put("auth/a", "1", None).await?;
    let mut guest = connect(Some(("guest", "guest"))).await?;
    assert_eq!(guest.get("auth/a", None).await?.count(), 1);
    let refused = guest.put("auth/a", "2", None).await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
    let refused = connect(Some(("root", "wrong"))).await.err().unwrap().to_string();
    assert!(refused.contains("authentication failed"), "{refused}");
    root.auth_disable().await?;
    client.put("auth/a", "3", None).await?;
    done("auth");
    Ok(())
}
