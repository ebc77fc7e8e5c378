// The Worker of `npm run flush`: three objects in one thread, each with a database of its own. A request does one kind
// of work so many times on each in turn; what was written is durable before the next one begins.

import { DurableObject } from 'cloudflare:workers';
import { ObjectSql } from '../../src/replica/object-sql.ts';
import { type Counted, CountingSql, FlushSteps, runWork, type Shape, type Work } from './flush-steps.ts';

type Env = { readonly MEASURED: DurableObjectNamespace<Measured> };
export type Order = {
  readonly objects: number;
  readonly rounds: number;
  readonly shape: Shape;
  readonly work: Work | { readonly kind: 'fill' };
};

export class Measured extends DurableObject<Env> {
  readonly #sql = new CountingSql(new ObjectSql(this.ctx.storage));
  #steps: FlushSteps | null = null;

  async work({ shape, work }: Order, seed: number): Promise<void> {
    this.#steps ??= new FlushSteps(this.#sql, shape, seed);
    if (work.kind !== 'fill') runWork(this.#sql, this.#steps, work);
    else while (this.#steps.fill()) await this.ctx.storage.sync();
    await this.ctx.storage.sync();
  }

  counted(): Counted & { readonly bytes: number } {
    const rowsWritten = Number(this.ctx.storage.sql.exec('SELECT total_changes() AS rows').one()['rows']);
    return { ...this.#sql.counted, rowsWritten, bytes: this.#sql.databaseBytes() };
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const order: Order = await request.json();
    const stubs = Array.from({ length: order.objects }, (_, place) =>
      env.MEASURED.get(env.MEASURED.idFromName(`${order.shape.keys}/${order.shape.valueBytes}/${place}`)),
    );
    const before = await stubs[0]?.counted();
    for (let round = 0; round < order.rounds; round++) {
      for (const [place, stub] of stubs.entries()) await stub.work(order, place + 1);
    }
    return Response.json({ before, after: await stubs[0]?.counted() });
  },
};
