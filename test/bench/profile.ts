// A CPU profile of workerd under the benchmark's load, through its inspector (DevTools protocol). All objects of the
// Worker live in one isolate locally, so one profile holds gateway and replicas.

import { writeFileSync } from 'node:fs';
import { freePorts } from '../support/free-ports.ts';
import { selfTimes, type CpuProfile } from './cpu-profile.ts';
import { DevTools } from '../support/dev-tools.ts';
import { drive } from './load.ts';
import { quorateSubject } from './subjects.ts';
import { keySpaces, preload, requestsOf } from './workload.ts';

const samplingMicroseconds = 500;
const functionsShown = 40;

/** The number of connections that the busiest rows have. */
const connections = 64;

type Settings = { readonly seconds: number; readonly warmUpSeconds: number };

export async function profile({ seconds, warmUpSeconds }: Settings): Promise<number> {
  const [inspectorPort] = await freePorts(1);
  const subject = await quorateSubject({
    name: 'quorate',
    arguments: ['--inspector-port', String(inspectorPort)],
    checkout: null,
  });
  try {
    await preload(subject, keySpaces.read);
    await preload(subject, keySpaces.written);
    const devTools = await DevTools.connect(`http://127.0.0.1:${inspectorPort}`);
    await devTools.call('Profiler.enable');
    await devTools.call('Profiler.setSamplingInterval', { interval: samplingMicroseconds });
    let failures = 0;
    for (const operation of ['get', 'put'] as const) {
      const requests = requestsOf(subject, operation, connections);
      await drive(subject.url, { requests, connections, seconds: warmUpSeconds });
      await devTools.call('Profiler.start');
      const load = await drive(subject.url, { requests, connections, seconds });
      const { profile: recorded } = await devTools.call('Profiler.stop');
      failures += load.failures;
      const file = `quorate-${operation}.cpuprofile`;
      writeFileSync(file, JSON.stringify(recorded));
      process.stdout.write(`${operation}: ${Math.round(load.perSecond)}/s while profiled; ${file}\n`);
      // The shape that version 1.3 of the protocol fixes.
      printSelfTimes(recorded as CpuProfile);
    }
    devTools.close();
    return failures === 0 ? 0 : 1;
  } finally {
    await subject.dispose();
  }
}

function printSelfTimes(recorded: CpuProfile): void {
  const { totalMicroseconds, functions } = selfTimes(recorded);
  for (const { name, microseconds } of functions.slice(0, functionsShown)) {
    const share = ((microseconds / totalMicroseconds) * 100).toFixed(1).padStart(5);
    process.stdout.write(`  ${share} %  ${name}\n`);
  }
}
