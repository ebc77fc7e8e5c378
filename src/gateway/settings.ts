// The settings that the service needs, and what is wrong with the values that it has. Whoever guesses the operator's
// token owns every tenant, and whoever guesses the service's secret can make keys of all of them.

import { secretCharactersMin, secretDifferentCharactersMin } from '../limits.ts';
import type { Env } from './env.ts';

export type SettingsFaults = {
  /** Faults of the service's secret, without which no access key can be told from a forged one. */
  readonly service: readonly string[];
  /** Faults of the operator's token, without which the calls of the operator are closed. */
  readonly operator: readonly string[];
};

export function settingsFaults({ SERVICE_SECRET = '', OPERATOR_TOKEN = '' }: Env): SettingsFaults {
  // A secret that is being replaced stands behind the new one until no key of it is in use.
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

/** What is wrong with a secret, as a text that follows its name; null: nothing. */
export function secretFault(secret: string): string | null {
  if (secret.length < secretCharactersMin) {
    return `has ${secret.length} characters, and must have at least ${secretCharactersMin} random ones`;
  }
  if (!/^[!-~]+$/.test(secret)) return 'has a space or a character beyond ASCII, which no header can carry';
  const different = new Set(secret).size;
  if (different >= secretDifferentCharactersMin) return null;
  return `has ${different} different characters, and must have at least ${secretDifferentCharactersMin}`;
}
