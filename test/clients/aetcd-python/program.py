"""What a user of aetcd for Python does, against the address that is given. See clients.ts for what is said."""

import asyncio
import sys
import time

import aetcd
from aetcd import rpc

host, port = sys.argv[1].split(':')


async def connect(**options):
    client = aetcd.Client(host=host, port=int(port), timeout=None, **options)
    await client.connect()
    return client


def done(step):
    print('done ' + step, flush=True)


async def restart():
    print('restart', flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def again(call):
    """This client leaves it to its user to call again when a connection broke."""
    until = time.monotonic() + 30
    while True:
        try:
            return await call()
        except aetcd.exceptions.ConnectionFailedError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)


async def key_values(client):
    first = (await client.put(b'kv/a', b'1')).header.revision
    second = await client.put(b'kv/a', b'2', prev_kv=True)
    assert second.header.revision == first + 1 and second.prev_kv.value == b'1', second
    done('put')
    await client.put(b'kv/b', b'3')
    got = await client.get(b'kv/a')
    assert got.value == b'2' and got.version == 2
    assert [each.key for each in await client.get_prefix(b'kv/', sort_order='descend')] == [b'kv/b', b'kv/a']
    done('get')
    assert await client.replace(b'kv/a', b'2', b'4') and not await client.replace(b'kv/a', b'2', b'5')
    done('txn')
    assert (await client.delete_prefix(b'kv/')).deleted == 2
    assert await client.get(b'kv/a') is None
    done('delete')


async def next_event(watch):
    async for event in watch:
        return event
    raise AssertionError('the watch ended')


async def watch(client):
    watched = await client.watch_prefix(b'watch/', prev_kv=True)
    seen = (await client.put(b'watch/a', b'1')).header.revision
    event = await next_event(watched)
    assert event.kind == aetcd.rtypes.EventKind.PUT and event.kv.value == b'1' and event.kv.mod_revision == seen
    done('watch')
    await restart()
    client = await connect()
    await again(lambda: client.put(b'watch/a', b'2'))
    await again(lambda: client.delete(b'watch/a'))
    watched = await client.watch_prefix(b'watch/', start_revision=seen + 1, prev_kv=True)
    event = await next_event(watched)
    assert event.kv.value == b'2' and event.prev_kv.value == b'1', event
    assert (await next_event(watched)).kind == aetcd.rtypes.EventKind.DELETE
    await watched.cancel()
    done('watch-resume')
    return client


async def lease(client):
    granted = await client.lease(60)
    await client.put(b'lease/a', b'1', lease=granted)
    assert (await granted.refresh()).TTL == 60
    assert (await client.get_lease_info(granted.id)).grantedTTL == 60
    await granted.revoke()
    assert await client.get(b'lease/a') is None
    await client.put(b'lease/b', b'1', lease=await client.lease(2))
    ended = await client.watch_once(b'lease/b', timeout=20, kind=aetcd.rtypes.EventKind.DELETE)
    assert ended.kind == aetcd.rtypes.EventKind.DELETE
    done('lease')


async def lock(client):
    mine, theirs = client.lock(b'a', ttl=60), (await connect()).lock(b'a', ttl=60)
    assert await mine.acquire() and not await theirs.acquire(timeout=1)
    waiting = asyncio.create_task(theirs.acquire(timeout=20))
    await asyncio.sleep(0)
    assert await mine.release()
    assert await waiting and await theirs.release()
    done('lock')


async def election(client):
    """This client has no elections: a campaign is made of a lease, a transaction and a watch."""

    async def campaign(name):
        term = await client.lease(60)
        won, _ = await client.transaction(
            compare=[client.transactions.create(b'election') == 0],
            success=[client.transactions.put(b'election', name, lease=term)],
            failure=[],
        )
        return term if won else None

    term = await campaign(b'one')
    assert term is not None and await campaign(b'two') is None
    watched = await client.watch(b'election')
    await term.revoke()
    assert (await next_event(watched)).kind == aetcd.rtypes.EventKind.DELETE
    await watched.cancel()
    assert await campaign(b'two') is not None
    done('election')


async def auth(client):
    of_auth = rpc.AuthStub(client.channel)
    await of_auth.RoleAdd(rpc.AuthRoleAddRequest(name='root'))
    await of_auth.UserAdd(rpc.AuthUserAddRequest(name='root', password='secret'))
    await of_auth.UserGrantRole(rpc.AuthUserGrantRoleRequest(user='root', role='root'))
    await of_auth.UserAdd(rpc.AuthUserAddRequest(name='guest', password='guest'))
    await of_auth.AuthEnable(rpc.AuthEnableRequest())
    root = await connect(username='root', password='secret')
    await root.put(b'auth/a', b'1')
    assert (await root.get(b'auth/a')).value == b'1'
    guest = await connect(username='guest', password='guest')
    assert 'permission denied' in await refusal(guest.put(b'auth/a', b'2'))
    assert 'authentication failed' in await refusal(connect(username='root', password='wrong'))
    await rpc.AuthStub(root.channel).AuthDisable(rpc.AuthDisableRequest(), metadata=root.metadata)
    await client.put(b'auth/a', b'3')
    done('auth')


async def refusal(call):
    try:
        await call
    except Exception as refused:
        return repr(refused)
    raise AssertionError('it was not refused')


async def main():
    client = await connect()
    await key_values(client)
    client = await watch(client)
    await lease(client)
    await lock(client)
    await election(client)
    await auth(client)


asyncio.run(main())
