// Fresh stores from a real etcd: a process with one member and an empty folder for each conversation.

import { startEtcd } from '../support/etcd-cluster.ts';
import type { StoreSource } from './store.ts';

export function etcdSource(program: string, { byGrpc = false } = {}): StoreSource {
  return {
    name: program,
    fresh: async () => {
      const { urls, dispose } = await startEtcd(program, 1);
      const [url] = urls;
      if (url === undefined) throw new Error('a cluster of one member has one URL');
      return { url: new URL(url), headers: {}, operatorHeaders: null, byGrpc, dispose };
    },
    close: () => Promise.resolve(),
  };
}
