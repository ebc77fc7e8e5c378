// The settings that the service cannot be without, and what is wrong with those that it has. Whoever guesses the
// operator's token owns every tenant; whoever guesses the service's secret makes keys of all of them.

import { secretCharactersMin, secretDifferentCharactersMin } from '../limits.ts';
import type { Env } from './env.ts';

export type SettingsFaults = {
  /** Without it no access key can be told from a forged one. */
  readonly service: readonly string[];
  /** Without it the operator's calls are closed. */
  readonly operator: readonly string[];
};

export function settingsFaults({ SERVICE_SECRET = '', OPERATOR_TOKEN = '' }: Env): SettingsFaults {
  // One that is replaced stands behind the new one until its keys are gone.
  const secrets = SERVICE_SECRET.split(',').filter((secret) => secret !== '');
  return {
    service:
      secrets.length === 0 ? ['SERVICE_SECRET is not set'] : secrets.flatMap((one) => faultsOf('SERVICE_SECRET', one)),
    operator: OPERATOR_TOKEN === '' ? ['OPERATOR_TOKEN is not set'] : faultsOf('OPERATOR_TOKEN', OPERATOR_TOKEN),
  };
}

function faultsOf(name: string, secret: string): readonly string[] {
  const fault = secretFault(secret);
  return fault === null ? [] : [`${name} ${fault}`];
}

/** What is wrong with it, to stand after its name; null: nothing. */
export function secretFault(secret: string): string | null {
  if (secret.length < secretCharactersMin) {
    return `has ${secret.length} characters, and must have at least ${secretCharactersMin} random ones`;
  }
  if (!/^[!-~]+$/.test(secret)) return 'has a space or a character beyond ASCII, which no header can carry';
  const different = new Set(secret).size;
  if (different >= secretDifferentCharactersMin) return null;
  return `has ${different} different characters, and must have at least ${secretDifferentCharactersMin}`;
}
