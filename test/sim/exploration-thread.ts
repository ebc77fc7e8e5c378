// A thread that runs the seeds that it is told, until it is told null.

import { parentPort } from 'node:worker_threads';
import { assert } from '../../src/base/assert.ts';
import { type Piece, runPiece, type ThreadReport } from './exploration.ts';

const port = parentPort;
assert(port !== null, 'this file is run as a thread');
const say = (report: ThreadReport): void => port.postMessage(report);

port.on('message', (piece: Piece | null) => {
  if (piece === null) return port.close();
  runPiece(piece, (report) => say({ kind: 'ran', report })).then(
    () => say({ kind: 'free' }),
    (error: unknown) => {
      throw error;
    },
  );
});
say({ kind: 'free' });
