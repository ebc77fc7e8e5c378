// What is asked of both sides: puts of 100 bytes, and linearizable reads, of random keys among 10,000.

export const connections = 64;
export const keyCount = 10_000;
export const valueBytes = 100;

export type Operation = 'put' | 'range';
export const paths: Readonly<Record<Operation, string>> = { put: '/v3/kv/put', range: '/v3/kv/range' };

/** All keys have one length, so that every request has. */
export function keyOf(index: number): string {
  return Buffer.from(`bench/${String(index).padStart(6, '0')}`, 'utf8').toString('base64');
}

export const value = Buffer.alloc(valueBytes, 'v').toString('base64');

export function bodyOf(operation: Operation, key: string): string {
  return operation === 'put' ? JSON.stringify({ key, value }) : JSON.stringify({ key });
}

/** Etcd's bound for the operations of one txn. */
const preloadBatch = 128;

/** Every key is there before anything is measured, on both sides: a read of nothing would be another read. */
export async function preload(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  for (let first = 0; first < keyCount; first += preloadBatch) {
    const success = Array.from({ length: Math.min(preloadBatch, keyCount - first) }, (_, index) => ({
      request_put: { key: keyOf(first + index), value },
    }));
    const response = await fetch(`${url}/v3/kv/txn`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ success }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${url}/v3/kv/txn answered ${response.status}: ${text.slice(0, 200)}`);
  }
}
