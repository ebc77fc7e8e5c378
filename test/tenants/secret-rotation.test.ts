// How the service's secret is replaced while keys and tokens that it signed are in use.

import { expect, it } from 'vitest';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';

it('TENANT-41: each step of a rotation accepts what the step beside it signs, and the last one nothing of the old', () => {
  const steps = ['old', 'old,new', 'new,old', 'new'].map((secret) => {
    const signatures = new Signatures(secret);
    const [keys, tokens] = [new KeyRing(signatures), new TokenRing(signatures)];
    const key = keys.issue({ tenant: 't', keyId: 'k' });
    const token = tokens.issue({ tenant: 't', use: 'alone', authRevision: 1, name: 'u' });
    return { keys, tokens, key, token };
  });
  const accepts = steps.map(({ keys, tokens }) =>
    steps.map(({ key, token }) => keys.verify(key) !== null && tokens.verify(token) !== null),
  );
  expect(accepts).toEqual([
    [true, true, false, false],
    [true, true, true, true],
    [true, true, true, true],
    [false, false, true, true],
  ]);
});
