import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.ClientBuilder;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.auth.Permission;
import io.etcd.jetcd.election.LeaderResponse;
import io.etcd.jetcd.kv.PutResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.watch.WatchEvent;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Supplier;

/** What a user of jetcd does, against the address that is given. See clients.ts for what is said. */
public final class Program {
  private static final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));

  public static void main(String[] words) throws Exception {
    String endpoint = "http://" + words[0];
    try (Client client = Client.builder().endpoints(endpoint).build()) {
      keyValues(client);
      watch(client);
      lease(client);
      lock(client);
      election(client);
      auth(client, endpoint);
    }
    System.exit(0);
  }

  private static ByteSequence bytes(String text) {
    return ByteSequence.from(text, UTF_8);
  }

  private static <T> T get(CompletableFuture<T> future) throws Exception {
    return future.get(30, SECONDS);
  }

  private static void check(boolean isSo, Object words) {
    if (!isSo) throw new AssertionError(words);
  }

  private static void done(String step) {
    System.out.println("done " + step);
  }

  private static void keyValues(Client client) throws Exception {
    var store = client.getKVClient();
    long first = get(store.put(bytes("kv/a"), bytes("1"))).getHeader().getRevision();
    PutResponse second = get(store.put(bytes("kv/a"), bytes("2"), PutOption.builder().withPrevKV().build()));
    check(second.getHeader().getRevision() == first + 1, second);
    check(second.getPrevKv().getValue().equals(bytes("1")), second);
    done("put");
    get(store.put(bytes("kv/b"), bytes("3")));
    check(get(store.get(bytes("kv/a"))).getKvs().get(0).getValue().equals(bytes("2")), "get");
    var old = get(store.get(bytes("kv/a"), GetOption.builder().withRevision(first).build()));
    check(old.getKvs().get(0).getValue().equals(bytes("1")), old);
    var list = get(store.get(bytes("kv/"), GetOption.builder().isPrefix(true).withSortField(GetOption.SortTarget.KEY)
        .withSortOrder(GetOption.SortOrder.DESCEND).build()));
    check(list.getCount() == 2 && list.getKvs().get(0).getKey().equals(bytes("kv/b")), list);
    done("get");
    check(swap(client, "2", "4") && !swap(client, "2", "5"), "swapped wrongly");
    done("txn");
    var deleted = get(store.delete(bytes("kv/"), DeleteOption.builder().isPrefix(true).build()));
    check(deleted.getDeleted() == 2, deleted);
    done("delete");
  }

  private static boolean swap(Client client, String from, String to) throws Exception {
    return get(client.getKVClient().txn()
        .If(new Cmp(bytes("kv/a"), Cmp.Op.EQUAL, CmpTarget.value(bytes(from))))
        .Then(Op.put(bytes("kv/a"), bytes(to), PutOption.DEFAULT))
        .Else(Op.get(bytes("kv/a"), GetOption.DEFAULT))
        .commit()).isSucceeded();
  }

  private static <T> T again(Supplier<CompletableFuture<T>> call) throws Exception {
    for (int tries = 1; ; tries++) {
      try {
        return get(call.get());
      } catch (ExecutionException failed) {
        if (tries == 100) throw failed;
        Thread.sleep(100);
      }
    }
  }

  private static WatchEvent next(BlockingQueue<Object> events) throws Exception {
    Object event = events.poll(60, SECONDS);
    if (event instanceof WatchEvent heard) return heard;
    throw new AssertionError("heard " + event);
  }

  /** Returns once the watch is there: a change before that is not of it. */
  private static Watch.Watcher created(Client client, String key, WatchOption.Builder option,
      BlockingQueue<Object> events) throws Exception {
    CompletableFuture<Boolean> isCreated = new CompletableFuture<>();
    Watch.Watcher watcher = client.getWatchClient().watch(bytes(key), option.withCreateNotify(true).build(),
        Watch.listener(response -> {
          isCreated.complete(true);
          events.addAll(response.getEvents());
        }, error -> {
          isCreated.completeExceptionally(error);
          events.add(error);
        }));
    get(isCreated);
    return watcher;
  }

  private static void watch(Client client) throws Exception {
    var store = client.getKVClient();
    BlockingQueue<Object> events = new LinkedBlockingQueue<>();
    Watch.Watcher watcher = created(client, "watch/", WatchOption.builder().isPrefix(true).withPrevKV(true), events);
    long seen = get(store.put(bytes("watch/a"), bytes("1"))).getHeader().getRevision();
    check(next(events).getKeyValue().getValue().equals(bytes("1")), "another event");
    done("watch");
    System.out.println("restart");
    input.readLine();
    again(() -> store.put(bytes("watch/a"), bytes("2")));
    // This client resumes a watch behind most failures, and tells its user of the others.
    if (events.peek() instanceof Throwable) {
      events.clear();
      watcher.close();
      var resumed = WatchOption.builder().isPrefix(true).withPrevKV(true).withRevision(seen + 1);
      watcher = created(client, "watch/", resumed, events);
    }
    WatchEvent event = next(events);
    check(event.getKeyValue().getValue().equals(bytes("2")) && event.getPrevKV().getValue().equals(bytes("1")), event);
    get(store.delete(bytes("watch/a")));
    check(next(events).getEventType() == WatchEvent.EventType.DELETE, "another event");
    watcher.close();
    done("watch-resume");
  }

  private static void lease(Client client) throws Exception {
    var store = client.getKVClient();
    var leases = client.getLeaseClient();
    long id = get(leases.grant(60)).getID();
    get(store.put(bytes("lease/a"), bytes("1"), PutOption.builder().withLeaseId(id).build()));
    check(get(leases.keepAliveOnce(id)).getTTL() == 60, "alive for another time");
    var left = get(leases.timeToLive(id, LeaseOption.builder().withAttachedKeys().build()));
    check(left.getKeys().size() == 1 && left.getGrantedTTL() == 60, left);
    get(leases.revoke(id));
    check(get(store.get(bytes("lease/a"))).getCount() == 0, "the key of a revoked lease is there");
    BlockingQueue<Object> events = new LinkedBlockingQueue<>();
    Watch.Watcher watcher = created(client, "lease/b", WatchOption.builder().withNoPut(true), events);
    long shortId = get(leases.grant(2)).getID();
    get(store.put(bytes("lease/b"), bytes("1"), PutOption.builder().withLeaseId(shortId).build()));
    check(next(events).getEventType() == WatchEvent.EventType.DELETE, "another event");
    watcher.close();
    done("lease");
  }

  private static void lock(Client client) throws Exception {
    var locks = client.getLockClient();
    long mine = get(client.getLeaseClient().grant(60)).getID();
    long theirs = get(client.getLeaseClient().grant(60)).getID();
    ByteSequence held = get(locks.lock(bytes("lock"), mine)).getKey();
    var waited = locks.lock(bytes("lock"), theirs);
    check(!waited.isDone(), "locked twice");
    get(locks.unlock(held));
    get(locks.unlock(get(waited).getKey()));
    done("lock");
  }

  private static void election(Client client) throws Exception {
    var elections = client.getElectionClient();
    long lease = get(client.getLeaseClient().grant(60)).getID();
    var mine = get(elections.campaign(bytes("election"), lease, bytes("one"))).getLeader();
    BlockingQueue<Object> led = new LinkedBlockingQueue<>();
    elections.observe(bytes("election"), new Election.Listener() {
      @Override
      public void onNext(LeaderResponse response) {
        led.add(response.getKv().getValue().toString());
      }

      @Override
      public void onError(Throwable error) {
        led.add(error);
      }

      @Override
      public void onCompleted() {}
    });
    check("one".equals(led.poll(30, SECONDS)), "observed another");
    get(elections.proclaim(mine, bytes("two")));
    check("two".equals(led.poll(30, SECONDS)), "observed another");
    check(get(elections.leader(bytes("election"))).getKv().getValue().equals(bytes("two")), "another leader");
    get(elections.resign(mine));
    done("election");
  }

  private static void auth(Client client, String endpoint) throws Exception {
    var auth = client.getAuthClient();
    get(auth.roleAdd(bytes("root")));
    get(auth.userAdd(bytes("root"), bytes("secret")));
    get(auth.userGrantRole(bytes("root"), bytes("root")));
    get(auth.roleAdd(bytes("reader")));
    get(auth.roleGrantPermission(bytes("reader"), bytes("auth/"), bytes("auth0"), Permission.Type.READ));
    get(auth.userAdd(bytes("guest"), bytes("guest")));
    get(auth.userGrantRole(bytes("guest"), bytes("reader")));
    get(auth.authEnable());
    try (Client root = as(endpoint, "root", "secret"); Client guest = as(endpoint, "guest", "guest");
        Client wrong = as(endpoint, "root", "wrong")) {
      get(root.getKVClient().put(bytes("auth/a"), bytes("1")));
      check(get(guest.getKVClient().get(bytes("auth/a"))).getCount() == 1, "the guest does not read");
      check(refusal(guest).contains("permission denied"), "the guest writes");
      String refused = refusal(wrong);
      check(refused.contains("UNAUTHENTICATED") || refused.contains("authentication failed"), refused);
      get(root.getAuthClient().authDisable());
    }
    get(client.getKVClient().put(bytes("auth/a"), bytes("3")));
    done("auth");
  }

  private static Client as(String endpoint, String user, String password) {
    ClientBuilder builder = Client.builder().endpoints(endpoint);
    return builder.user(bytes(user)).password(bytes(password)).build();
  }

  private static String refusal(Client client) throws Exception {
    try {
      get(client.getKVClient().put(bytes("auth/a"), bytes("2")));
      return "nothing";
    } catch (ExecutionException refused) {
      return String.valueOf(refused.getCause().getMessage());
    }
  }
}
