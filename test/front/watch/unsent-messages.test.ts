import { expect, it } from 'vitest';
import { UnsentMessages } from '../../../src/front/watch/unsent-messages.ts';

it('FRONT-10: of what a client was sent, those messages are known that have not left', () => {
  const unsent = new UnsentMessages();
  const [first, second, third] = [10, 20, 30].map((bytes) => Buffer.alloc(bytes));
  if (first === undefined || second === undefined || third === undefined) throw new Error('there are three');
  unsent.sent(first, 0);
  expect(unsent.left(0)).toEqual([]);
  unsent.sent(first, 10);
  unsent.sent(second, 30);
  unsent.sent(third, 51);
  expect(unsent.left(51)).toEqual([first, second, third]);
  expect(unsent.left(50)).toEqual([second, third]);
  expect(unsent.left(31)).toEqual([second, third]);
  expect(unsent.left(30)).toEqual([third]);
  unsent.sent(first, 40);
  expect(unsent.left(40)).toEqual([third, first]);
  expect(unsent.left(0)).toEqual([]);
  unsent.sent(second, 0);
  expect(unsent.left(0)).toEqual([]);
});
