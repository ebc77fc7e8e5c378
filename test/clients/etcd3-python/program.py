"""What a user of etcd3 for Python does, against the address that is given. See clients.ts for what is said."""

import sys
import threading
import time

import etcd3
import etcd3.etcdrpc as rpc

host, port = sys.argv[1].split(':')


def connect(**options):
    client = etcd3.client(host=host, port=int(port), timeout=30, **options)
    # The token goes as metadata. Newer versions of grpcio refuse to send it as credentials, too, where there is no TLS.
    client.call_credentials = None
    return client


def done(step):
    print('done ' + step, flush=True)


def restart():
    print('restart', flush=True)
    sys.stdin.readline()


def again(call):
    """This client leaves it to its user to call again when a connection broke."""
    until = time.monotonic() + 30
    while True:
        try:
            return call()
        except etcd3.exceptions.ConnectionFailedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def key_values(client):
    first = client.put('kv/a', '1').header.revision
    second = client.put('kv/a', '2', prev_kv=True)
    assert second.header.revision == first + 1 and second.prev_kv.value == b'1', second
    done('put')
    client.put('kv/b', '3')
    value, metadata = client.get('kv/a')
    assert value == b'2' and metadata.version == 2
    assert [each.key for _, each in client.get_prefix('kv/', sort_order='descend')] == [b'kv/b', b'kv/a']
    done('get')
    assert client.replace('kv/a', '2', '4') and not client.replace('kv/a', '2', '5')
    succeeded, answers = client.transaction(
        compare=[client.transactions.version('kv/none') > 0],
        success=[],
        failure=[client.transactions.get('kv/a')],
    )
    assert not succeeded and answers[0][0][0] == b'4', answers
    done('txn')
    assert client.delete_prefix('kv/').deleted == 2
    assert client.get('kv/a') == (None, None)
    done('delete')


def watch(client):
    events, cancel = client.watch_prefix('watch/', prev_kv=True)
    seen = client.put('watch/a', '1').header.revision
    event = next(events)
    assert isinstance(event, etcd3.events.PutEvent) and event.value == b'1' and event.mod_revision == seen
    done('watch')
    restart()
    try:
        broken = next(events)
        raise AssertionError(f'the watch went on with {broken}')
    except etcd3.exceptions.ConnectionFailedError:
        pass
    client = connect()
    again(lambda: client.put('watch/a', '2'))
    again(lambda: client.delete('watch/a'))
    events, cancel = client.watch_prefix('watch/', start_revision=seen + 1, prev_kv=True)
    event = next(events)
    assert event.value == b'2' and event.prev_value == b'1', event
    assert isinstance(next(events), etcd3.events.DeleteEvent)
    cancel()
    done('watch-resume')
    return client


def lease(client):
    granted = client.lease(60)
    client.put('lease/a', '1', lease=granted)
    assert granted.refresh()[0].TTL == 60
    assert granted.granted_ttl == 60 and list(granted.keys) == [b'lease/a']
    granted.revoke()
    assert client.get('lease/a') == (None, None)
    client.put('lease/b', '1', lease=client.lease(2))
    assert isinstance(client.watch_once('lease/b', timeout=20), etcd3.events.DeleteEvent)
    done('lease')


def lock(client):
    mine, theirs = client.lock('a', ttl=60), connect().lock('a', ttl=60)
    assert mine.acquire() and not theirs.acquire(timeout=1)
    waited = []
    waiting = threading.Thread(target=lambda: waited.append(theirs.acquire(timeout=20)))
    waiting.start()
    assert mine.release()
    waiting.join()
    assert waited == [True] and theirs.release()
    done('lock')


def election(client):
    """This client has no elections: a campaign is made of a lease, a transaction and a watch."""

    def campaign(name):
        term = client.lease(60)
        won, _ = client.transaction(
            compare=[client.transactions.create('election') == 0],
            success=[client.transactions.put('election', name, lease=term)],
            failure=[],
        )
        return term if won else None

    term = campaign('one')
    assert term is not None and campaign('two') is None
    events, cancel = client.watch('election')
    term.revoke()
    assert isinstance(next(events), etcd3.events.DeleteEvent)
    cancel()
    assert campaign('two') is not None
    done('election')


def auth(client):
    of_auth = rpc.AuthStub(client.channel)
    of_auth.RoleAdd(rpc.AuthRoleAddRequest(name='root'))
    of_auth.UserAdd(rpc.AuthUserAddRequest(name='root', password='secret'))
    of_auth.UserGrantRole(rpc.AuthUserGrantRoleRequest(user='root', role='root'))
    of_auth.UserAdd(rpc.AuthUserAddRequest(name='guest', password='guest'))
    of_auth.AuthEnable(rpc.AuthEnableRequest())
    root = connect(user='root', password='secret')
    root.put('auth/a', '1')
    assert root.get('auth/a')[0] == b'1'
    guest = connect(user='guest', password='guest')
    assert 'permission denied' in refusal(lambda: guest.put('auth/a', '2'))
    assert 'authentication failed' in refusal(lambda: connect(user='root', password='wrong'))
    rpc.AuthStub(root.channel).AuthDisable(rpc.AuthDisableRequest(), metadata=root.metadata)
    client.put('auth/a', '3')
    done('auth')


def refusal(call):
    try:
        call()
    except Exception as refused:
        return str(refused)
    raise AssertionError('it was not refused')


of_keys = connect()
key_values(of_keys)
of_all = watch(of_keys)
lease(of_all)
lock(of_all)
election(of_all)
auth(of_all)
