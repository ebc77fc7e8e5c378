// `npm run kills`: kills a server with SIGKILL at a random moment of load, of a flush or of quiet, again and again, and
// holds that nothing acknowledged is lost and that nothing older is shown than before.

import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import type { Target } from '../bench/workload.ts';
import { membersOf, numberIn } from '../chaos/json.ts';
import { freePorts } from '../support/free-ports.ts';
import { wholeNumber } from '../support/option-values.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { KillLedger } from './ledger.ts';
import { runningMs } from './running-time.ts';
import { KillSession, outageMs, readAtLeader, replicas } from './session.ts';
import { KilledWatches } from './watches.ts';
import { Writers } from './writers.ts';

const help = `Usage: npm run kills -- [options]

Starts a server, writes with 32 writers over HTTP and a session while three replicas are read, kills all of it with SIGKILL at a random moment,
and starts it again on the same data. Then it reads the status and every key of each replica, serializable, and every key of the leader; two
watches go on from where they are. Nothing that was acknowledged may be lost or done twice, and nothing older may be shown than before.

  --rounds N     how often (1000)
  --data FOLDER  keep the data here (a temporary folder)
  --help         print this
`;

const loadMsMax = 500;
/** The part of rounds in which the load ends before the kill, so that the replicas flush, rest, or are about to. */
const quietPart = 0.35;
const quietMsMax = 1_000;
/** Of so many rounds one compacts, and so has a barrier in its log and rows that are swept. */
const compactsEvery = 10;
const attemptsMax = 5;
const printsEvery = 20;
/** What takes longer is counted: it breaks no promise, and on a machine that has time it does not happen. */
const slowMs = 10_000;

async function main(): Promise<void> {
  const values = commandLine(help, { rounds: { type: 'string', default: '1000' }, data: { type: 'string' } });
  const rounds = wholeNumber('--rounds', values.rounds);
  const [port = 0] = await freePorts(1);
  const words = ['--port', String(port)];
  const kept = values.data === undefined ? {} : { dataFolder: values.data };
  const begun = await startQuorate({ arguments: words, ...kept });
  const kills = new Kills(begun);
  const dataFolder = begun.dataFolder;
  try {
    for (let round = 1; round <= rounds && kills.isSound; round++) {
      await kills.round(() => startedAtLast({ arguments: words, dataFolder }));
      if (round % printsEvery === 0 || round === rounds) console.log(kills.inWords(round));
    }
    await kills.finish();
  } finally {
    await kills.dispose(begun);
  }
  for (const violation of kills.violations) console.error(violation);
  process.exitCode = kills.violations.length === 0 ? 0 : 1;
}

let slowStarts = 0;

/**
 * A machine that is busy may take longer than a start has. The server is killed then, as at any other moment, and is
 * started once more. A server that says why it does not start ends the run.
 */
async function startedAtLast(options: Parameters<typeof startQuorate>[0]): Promise<QuorateProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startQuorate(options);
    } catch (error) {
      const isSilent = error instanceof Error && error.message.trim().endsWith('did not start:');
      if (!isSilent || attempt === attemptsMax) throw error;
      slowStarts++;
    }
  }
}

class Kills {
  readonly #ledger = new KillLedger();
  readonly #watches: KilledWatches;
  #server: QuorateProcess;
  readonly #startMs: number[] = [];
  readonly #lookMs: number[] = [];
  #slowLooks = 0;
  #rounds = 0;

  constructor(server: QuorateProcess) {
    this.#server = server;
    this.#watches = new KilledWatches(targetOf(server), this.#ledger, 2);
  }

  get violations(): readonly string[] {
    return this.#ledger.violations;
  }

  get isSound(): boolean {
    return this.violations.length === 0;
  }

  /** Load, a kill, another start, and what is to be seen then. */
  async round(start: () => Promise<QuorateProcess>): Promise<void> {
    this.#rounds++;
    const target = targetOf(this.#server);
    const { session: leader, shown } = await readAtLeader(target);
    this.#ledger.read('the leader', shown.revision, shown.pairs);
    const writers = new Writers(target, leader, this.#ledger);
    if (this.#rounds % compactsEvery === 0) void leader.ask(compaction(this.#watches.next - 1));
    await sleep(Math.random() * loadMsMax);
    const ended = Math.random() < quietPart ? writers.stop() : null;
    await ended;
    if (ended !== null) await sleep(Math.random() * quietMsMax);
    await this.#server.killEverything();
    await writers.stop();
    leader.close();
    const startedMs = performance.now();
    this.#server = await start();
    this.#startMs.push(performance.now() - startedMs);
    const lookedMs = performance.now();
    await this.#look();
    const lookMs = performance.now() - lookedMs;
    this.#lookMs.push(lookMs);
    if (lookMs > slowMs) this.#slowLooks++;
    this.#ledger.forget(this.#watches.next - 1);
  }

  /** Serializable reads of each replica and the status come first, while it is not known yet what the log holds. */
  async #look(): Promise<void> {
    const target = targetOf(this.#server);
    const looks = replicas.map(async (replica) => {
      const session = new KillSession(target, replica);
      const shown = await session.readAll({ serializable: true });
      if (shown !== null) this.#ledger.read(`replica ${replica}`, shown.revision, shown.pairs);
      session.close();
    });
    await Promise.all([...looks, this.#lookAtStatus(target)]);
  }

  async #lookAtStatus(target: Target): Promise<void> {
    const before = this.#ledger.shown;
    const endMs = runningMs() + outageMs;
    for (;;) {
      const answer = await statusOf(target);
      // A busy machine may not answer in time.
      if ((answer === null || answer.status >= 500) && runningMs() < endMs) {
        await sleep(10);
        continue;
      }
      if (answer?.status !== 200) {
        return this.#ledger.fail(`the status was answered ${answer?.status ?? 'nothing'}: ${answer?.text ?? ''}`);
      }
      const revision = numberIn(membersOf(answer.text), 'revision');
      if (revision < before) this.#ledger.fail(`the status shows revision ${revision}; ${before} was shown before`);
      return;
    }
  }

  /** Both watches are told of everything in the end. */
  async finish(): Promise<void> {
    const endMs = runningMs() + outageMs;
    while (this.#watches.next <= this.#ledger.shown && runningMs() < endMs) await sleep(10);
    if (this.#watches.next > this.#ledger.shown) return;
    this.#ledger.fail(`a watch was told up to ${this.#watches.next - 1}; ${this.#ledger.shown} was shown`);
  }

  inWords(round: number): string {
    const { acknowledgedCount, shown } = this.#ledger;
    const [start, look] = [this.#startMs, this.#lookMs].map((times) => Math.max(...times.splice(0)).toFixed(0));
    return `${round} kills, ${acknowledgedCount} writes acknowledged, revision ${shown}, watches resumed ${this.#watches.resumed} times, slowest start ${start} ms, slowest look ${look} ms, slow: ${slowStarts} starts and ${this.#slowLooks} looks, ${this.violations.length} violations`;
  }

  async dispose(begun: QuorateProcess): Promise<void> {
    this.#watches.close();
    await this.#server.end('SIGTERM');
    if (this.isSound) await begun.dispose();
    else console.error(`the data are in ${begun.dataFolder}`);
  }
}

/** Null: the connection broke. */
async function statusOf({ url, headers }: Target): Promise<{ readonly status: number; readonly text: string } | null> {
  try {
    const response = await fetch(`${url}/v1/status`, { headers });
    return { status: response.status, text: await response.text() };
  } catch {
    return null;
  }
}

function targetOf({ ready }: QuorateProcess): Target {
  return { url: ready.url, headers: { 'Quorate-Key': ready.tenant.key } };
}

function compaction(revision: number): Parameters<KillSession['ask']>[0] {
  return { kind: 'write', writeId: null, operation: { kind: 'compact', request: { revision: Math.max(1, revision) } } };
}

await main();
