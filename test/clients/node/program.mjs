// What a user of etcd3 for Node does, against the address that is given. See clients.ts for what is said.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ConstantBackoff, handleWhen, retry } from 'cockatiel';
import { Etcd3, isRecoverableError, Range } from 'etcd3';

const hosts = `http://${process.argv[2]}`;
// When a watch of this client is cancelled, it closes the channel under its other calls.
const attempts = { maxAttempts: 3, backoff: new ConstantBackoff(50) };
const faultHandling = { global: retry(handleWhen(isRecoverableError), attempts) };
const lines = createInterface({ input: process.stdin });
const done = (step) => console.log(`done ${step}`);

async function restart() {
  console.log('restart');
  await once(lines, 'line');
}

/** This client leaves it to its user to call again when a connection broke. */
async function again(call) {
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function keyValues(client) {
  const first = await client.put('kv/a').value('1').exec();
  const second = await client
    .put('kv/a')
    .value('2')
    .getPrevious()
    .then((previous) => previous);
  assert.equal(second.value.toString(), '1');
  done('put');
  await client.put('kv/b').value('3').exec();
  assert.equal(await client.get('kv/a').string(), '2');
  assert.equal(await client.get('kv/a').revision(first.header.revision).string(), '1');
  const list = await client.getAll().prefix('kv/').sort('Key', 'Descend').keys();
  assert.deepEqual(list, ['kv/b', 'kv/a']);
  done('get');
  const swap = async (from, to) =>
    (await client.if('kv/a', 'Value', '==', from).then(client.put('kv/a').value(to)).else(client.get('kv/a')).commit())
      .succeeded;
  assert.equal(await swap('2', '4'), true);
  assert.equal(await swap('2', '5'), false);
  done('txn');
  assert.equal((await client.delete().prefix('kv/').exec()).deleted, '2');
  assert.equal(await client.get('kv/a').string(), null);
  done('delete');
}

async function watch(client) {
  const watcher = await client.watch().prefix('watch/').withPreviousKV().create();
  const events = [];
  let heard = null;
  for (const kind of ['put', 'delete']) {
    watcher.on(kind, (pair, previous) => {
      events.push([kind, pair.value.toString(), previous?.value.toString() ?? null]);
      heard?.();
    });
  }
  const next = async () => {
    while (events.length === 0) await new Promise((resolve) => (heard = resolve));
    return events.shift();
  };
  await client.put('watch/a').value('1').exec();
  assert.deepEqual((await next()).slice(0, 2), ['put', '1']);
  done('watch');
  await restart();
  await again(() => client.put('watch/a').value('2').exec());
  assert.deepEqual(await next(), ['put', '2', '1']);
  await client.delete().key('watch/a').exec();
  assert.equal((await next())[0], 'delete');
  await watcher.cancel();
  done('watch-resume');
}

async function lease(client) {
  const granted = client.lease(60, { autoKeepAlive: false });
  await granted.put('lease/a').value('1').exec();
  assert.equal((await granted.keepaliveOnce()).TTL, '60');
  await granted.revoke();
  assert.equal(await client.get('lease/a').string(), null);
  const short = client.lease(2, { autoKeepAlive: false });
  const watcher = await client.watch().key('lease/b').create();
  const ended = once(watcher, 'delete');
  await short.put('lease/b').value('1').exec();
  await ended;
  await watcher.cancel();
  done('lease');
}

async function lock(client) {
  const mine = await client.lock('lock').ttl(60).acquire();
  await assert.rejects(client.lock('lock').acquire(), { name: 'Error', message: /lock/i });
  await mine.release();
  const theirs = await client.lock('lock').acquire();
  await theirs.release();
  done('lock');
}

async function election(client) {
  const elections = client.election('election', 60);
  const one = elections.campaign('one');
  await one.wait();
  assert.equal(await elections.leader(), 'one');
  const observer = await elections.observe();
  const changed = once(observer, 'change');
  await one.proclaim('two');
  if (observer.leader() !== 'two') await changed;
  const other = elections.campaign('three');
  await one.resign();
  await other.wait();
  assert.equal(await elections.leader(), 'three');
  await observer.cancel();
  await other.resign();
  done('election');
}

async function auth(client) {
  const root = await client.role('root').create();
  const user = await client.user('root').create('secret');
  await user.addRole(root);
  const reader = await client.role('reader').create();
  await reader.grant({ permission: 'Read', range: Range.prefix('auth/') });
  const guest = await client.user('guest').create('guest');
  await guest.addRole(reader);
  await client.auth.authEnable();
  const asRoot = new Etcd3({ hosts, auth: { username: 'root', password: 'secret' } });
  await asRoot.put('auth/a').value('1').exec();
  const asGuest = new Etcd3({ hosts, auth: { username: 'guest', password: 'guest' } });
  assert.equal(await asGuest.get('auth/a').string(), '1');
  await assert.rejects(asGuest.put('auth/a').value('2').exec(), /permission denied/);
  const wrong = new Etcd3({ hosts, auth: { username: 'root', password: 'wrong' } });
  await assert.rejects(wrong.get('auth/a').string(), /authentication failed/);
  await asRoot.auth.authDisable();
  await client.put('auth/a').value('3').exec();
  done('auth');
  for (const each of [asRoot, asGuest, wrong]) each.close();
}

const client = new Etcd3({ hosts, faultHandling });
for (const part of [keyValues, watch, lease, lock, election, auth]) await part(client);
client.close();
lines.close();
