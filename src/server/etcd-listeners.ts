// The ports for etcd's clients, each bound to one tenant (`--etcd`). A port speaks in the name of an access key of its
// own, which is kept in the data folder: the tenant's owner sees it in the list of keys, and may revoke it.

import type { Front } from '../front/front.ts';
import { type PortOptions, urlOfPort } from '../front/port.ts';
import { type Api, callApi, refusalOf, tenantNamed, textsOf } from './api-calls.ts';
import type { EtcdListenerOptions } from './arguments.ts';
import type { DataFolder, FirstTenant } from './data-folder.ts';
import { ServerFailure } from './failure.ts';
import { addressFailure } from './runtime.ts';

export type EtcdListener = { readonly url: URL; readonly tenant: string };

export type EtcdListenersOptions = {
  readonly wanted: readonly EtcdListenerOptions[];
  readonly front: Front;
  readonly api: Api;
  readonly folder: DataFolder;
  readonly first: FirstTenant;
  /** TLS for one more port. */
  readonly secure: () => Pick<PortOptions, 'tls'>;
};

/** @throws ServerFailure where a port cannot be listened on, or there is no such tenant. */
export async function openEtcdListeners(options: EtcdListenersOptions): Promise<readonly EtcdListener[]> {
  const { wanted, front, first, api, secure } = options;
  const opened: EtcdListener[] = [];
  for (const { host, port, tenant: named } of wanted) {
    const name = named ?? first.name;
    const id = named === null ? first.id : await tenantNamed(api, name);
    if (id === null) throw new ServerFailure(`--etcd names the tenant "${name}", and there is none of that name`);
    const key = await keyOf(id, options);
    try {
      const tls = secure();
      const taken = await front.listenAlso({ host, port, key, ...tls });
      opened.push({ url: new URL(urlOfPort(tls.tls === undefined ? 'http' : 'https', host, taken)), tenant: name });
    } catch (error) {
      throw addressFailure(error, { host, port, option: '--etcd' });
    }
  }
  return opened;
}

/** The key of an earlier start, unless it was revoked since. */
async function keyOf(tenantId: string, { api, folder }: EtcdListenersOptions): Promise<string> {
  const kept = folder.listenerKey(tenantId);
  if (kept !== null && (await isGood(api, kept))) return kept;
  const path = `/v1/tenants/${encodeURIComponent(tenantId)}/keys`;
  const issued = await callApi(api, 'POST', path, { role: 'admin', name: 'etcd-port' });
  const key = textsOf(issued, 201, ['key'])?.key;
  if (key === undefined) throw refusalOf('the port for etcd clients gets no access key', issued);
  folder.keepListenerKey(tenantId, key);
  return key;
}

async function isGood({ url }: Api, key: string): Promise<boolean> {
  const response = await fetch(new URL('/v1/whoami', url), { headers: { 'Quorate-Key': key } });
  await response.body?.cancel();
  return response.ok;
}
