// What a user of etcd's own Go client does, against the address that is given. See clients.ts for what is said on
// standard output and input.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

var (
	endpoint = os.Args[1]
	input    = bufio.NewReader(os.Stdin)
	within   = func() context.Context {
		within, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		time.AfterFunc(31*time.Second, cancel)
		return within
	}
)

func check(isSo bool, words string, values ...any) {
	if !isSo {
		panic(fmt.Sprintf(words, values...))
	}
}

func must[Value any](value Value, err error) Value {
	check(err == nil, "%v", err)
	return value
}

func done(step string) { fmt.Println("done " + step) }

func restart() {
	fmt.Println("restart")
	must(input.ReadString('\n'))
}

func connect(config clientv3.Config) *clientv3.Client {
	config.Endpoints = []string{endpoint}
	config.DialTimeout = 10 * time.Second
	config.DialKeepAliveTime = 10 * time.Second
	config.DialKeepAliveTimeout = 5 * time.Second
	return must(clientv3.New(config))
}

func main() {
	client := connect(clientv3.Config{})
	defer client.Close()
	keyValues(client)
	watch(client)
	lease(client)
	lock(client)
	election(client)
	auth(client)
}

func keyValues(client *clientv3.Client) {
	first := must(client.Put(within(), "kv/a", "1"))
	second := must(client.Put(within(), "kv/a", "2", clientv3.WithPrevKV()))
	check(second.Header.Revision == first.Header.Revision+1, "revision %d", second.Header.Revision)
	check(string(second.PrevKv.Value) == "1", "previous %q", second.PrevKv.Value)
	done("put")
	must(client.Put(within(), "kv/b", "3"))
	got := must(client.Get(within(), "kv/a"))
	check(got.Count == 1 && string(got.Kvs[0].Value) == "2" && got.Kvs[0].Version == 2, "get %v", got)
	old := must(client.Get(within(), "kv/a", clientv3.WithRev(first.Header.Revision)))
	check(string(old.Kvs[0].Value) == "1", "old %v", old)
	list := must(client.Get(within(), "kv/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)))
	check(list.Count == 2 && string(list.Kvs[0].Key) == "kv/b", "list %v", list)
	done("get")
	swap := func(from, to string) bool {
		return must(client.Txn(within()).If(clientv3.Compare(clientv3.Value("kv/a"), "=", from)).
			Then(clientv3.OpPut("kv/a", to)).Else(clientv3.OpGet("kv/a")).Commit()).Succeeded
	}
	check(swap("2", "4") && !swap("2", "5"), "swapped wrongly")
	done("txn")
	deleted := must(client.Delete(within(), "kv/", clientv3.WithPrefix()))
	check(deleted.Deleted == 2, "deleted %d", deleted.Deleted)
	_, err := client.Get(within(), "kv/a", clientv3.WithRev(deleted.Header.Revision+1000))
	check(errors.Is(err, rpctypes.ErrFutureRev), "of the future: %v", err)
	done("delete")
}

func watch(client *clientv3.Client) {
	events := client.Watch(within(), "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	next := func() *clientv3.Event {
		for response := range events {
			check(response.Err() == nil, "%v", response.Err())
			for _, event := range response.Events {
				return event
			}
		}
		panic("the watch ended")
	}
	must(client.Put(within(), "watch/a", "1"))
	event := next()
	check(event.IsCreate() && string(event.Kv.Value) == "1", "event %v", event)
	done("watch")
	restart()
	must(client.Put(within(), "watch/a", "2"))
	event = next()
	check(string(event.Kv.Value) == "2" && string(event.PrevKv.Value) == "1", "event %v", event)
	must(client.Delete(within(), "watch/a"))
	event = next()
	check(event.Type == clientv3.EventTypeDelete, "event %v", event)
	done("watch-resume")
}

func lease(client *clientv3.Client) {
	granted := must(client.Grant(within(), 60))
	must(client.Put(within(), "lease/a", "1", clientv3.WithLease(granted.ID)))
	alive := must(client.KeepAliveOnce(within(), granted.ID))
	check(alive.TTL == 60, "alive for %d", alive.TTL)
	left := must(client.TimeToLive(within(), granted.ID, clientv3.WithAttachedKeys()))
	check(len(left.Keys) == 1 && left.GrantedTTL == 60, "left %v", left)
	must(client.Revoke(within(), granted.ID))
	check(must(client.Get(within(), "lease/a")).Count == 0, "the key of a revoked lease is there")
	short := must(client.Grant(within(), 2))
	ended := client.Watch(within(), "lease/b", clientv3.WithFilterPut())
	must(client.Put(within(), "lease/b", "1", clientv3.WithLease(short.ID)))
	response := <-ended
	check(len(response.Events) == 1 && response.Events[0].Type == clientv3.EventTypeDelete, "at its end %v", response)
	done("lease")
}

func lock(client *clientv3.Client) {
	one, other := must(concurrency.NewSession(client)), must(concurrency.NewSession(client))
	mine, theirs := concurrency.NewMutex(one, "lock"), concurrency.NewMutex(other, "lock")
	check(mine.Lock(within()) == nil, "no lock")
	check(errors.Is(theirs.TryLock(within()), concurrency.ErrLocked), "locked twice")
	waited := make(chan error, 1)
	go func() { waited <- theirs.Lock(within()) }()
	check(mine.Unlock(within()) == nil, "no unlock")
	check(<-waited == nil, "the next one waits for ever")
	check(one.Close() == nil && other.Close() == nil, "a session does not end")
	done("lock")
}

func election(client *clientv3.Client) {
	session := must(concurrency.NewSession(client))
	elected := concurrency.NewElection(session, "election")
	check(elected.Campaign(within(), "one") == nil, "not elected")
	observed := elected.Observe(within())
	check(string((<-observed).Kvs[0].Value) == "one", "observed another")
	check(elected.Proclaim(within(), "two") == nil, "not proclaimed")
	check(string((<-observed).Kvs[0].Value) == "two", "observed another")
	check(elected.Resign(within()) == nil, "not resigned")
	_, err := elected.Leader(within())
	check(errors.Is(err, concurrency.ErrElectionNoLeader), "a leader is left: %v", err)
	check(session.Close() == nil, "a session does not end")
	done("election")
}

func auth(client *clientv3.Client) {
	must(client.RoleAdd(within(), "root"))
	must(client.UserAdd(within(), "root", "secret"))
	must(client.UserGrantRole(within(), "root", "root"))
	must(client.RoleAdd(within(), "reader"))
	must(client.RoleGrantPermission(within(), "reader", "auth/", "auth0", clientv3.PermissionType(clientv3.PermRead)))
	must(client.UserAdd(within(), "guest", "guest"))
	must(client.UserGrantRole(within(), "guest", "reader"))
	must(client.AuthEnable(within()))
	root := connect(clientv3.Config{Username: "root", Password: "secret"})
	must(root.Put(within(), "auth/a", "1"))
	guest := connect(clientv3.Config{Username: "guest", Password: "guest"})
	check(must(guest.Get(within(), "auth/a")).Count == 1, "the guest does not read")
	_, err := guest.Put(within(), "auth/a", "2")
	check(errors.Is(err, rpctypes.ErrPermissionDenied), "the guest writes: %v", err)
	_, err = clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Username: "root", Password: "wrong"})
	check(err != nil && err.Error() == rpctypes.ErrAuthFailed.Error(), "a wrong password: %v", err)
	must(root.AuthDisable(within()))
	must(client.Put(within(), "auth/a", "3"))
	done("auth")
}
