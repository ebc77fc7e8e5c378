// Falsifies one recorded value of a conversation, so that a right answer to that step differs, and the replayer must
// find it. The same seed falsifies the same value.

import { isList, isObject, type Action, type Answer, type Conversation, type Json } from './conversation.ts';
import { parsePlaceholder } from './placeholders.ts';
import { Random } from '../support/random.ts';

export type Planted = { readonly conversation: Conversation; readonly line: number; readonly what: string };

/** Null: the conversation records nothing that can be falsified. */
export function plant(conversation: Conversation, seed: number): Planted | null {
  const random = new Random(seed);
  const candidates = conversation.steps.filter(({ action }) => recordedValues(action).length > 0);
  const chosen = pick(candidates, random);
  if (chosen === undefined) return null;
  const value = pick(recordedValues(chosen.action), random);
  if (value === undefined) return null;
  const { falsified, what } = falsify(value, random);
  const action = replaced(chosen.action, value, falsified);
  return {
    conversation: {
      ...conversation,
      steps: conversation.steps.map((step) => (step === chosen ? { ...step, action } : step)),
    },
    line: chosen.line,
    what,
  };
}

/**
 * The JSON that a step compares. Calls that are repeated until the answer matches are left out, because they would take
 * their whole time.
 */
function recordedValues(action: Action): readonly Json[] {
  if (action.kind === 'call') return action.retryMs === 0 ? bodyOf(action.answer) : [];
  if (action.kind === 'finish') return bodyOf(action.answer);
  if (action.kind === 'expect') return action.messages;
  if (action.kind === 'gather') return [...action.watches.values()].flat();
  return [];
}

function bodyOf(answer: Answer): readonly Json[] {
  return answer.content.kind === 'json' ? [answer.content.value] : [];
}

function replaced(action: Action, from: Json, to: Json): Action {
  const swap = (values: readonly Json[]): readonly Json[] => {
    const at = values.indexOf(from);
    return at < 0 ? values : values.with(at, to);
  };
  if (action.kind === 'expect') return { ...action, messages: swap(action.messages) };
  if (action.kind === 'gather') {
    const holder = [...action.watches].find(([, items]) => items.includes(from));
    if (holder === undefined) return action;
    return { ...action, watches: new Map(action.watches).set(holder[0], swap(holder[1])) };
  }
  if ((action.kind === 'call' || action.kind === 'finish') && action.answer.content.kind === 'json') {
    return { ...action, answer: { ...action.answer, content: { ...action.answer.content, value: to } } };
  }
  return action;
}

type Falsified = { readonly falsified: Json; readonly what: string };

/**
 * Walks down to some position in the value and changes it there: another text, another number, one member more or less.
 */
function falsify(value: Json, random: Random): Falsified {
  if (isObject(value)) {
    const names = Object.keys(value).filter((name) => !isFree(value[name]));
    // The two markers of unordered arrays hold elements, and no members.
    const marker = '$unordered' in value || '$contains' in value;
    const choice = random.next();
    if (!marker && choice < 0.15) return { falsified: { ...value, planted: true }, what: 'a member more' };
    const name = pick(names, random);
    if (name === undefined) return { falsified: { ...value, planted: true }, what: 'a member more' };
    if (!marker && choice < 0.3) {
      const others = Object.entries(value).filter(([other]) => other !== name);
      return { falsified: Object.fromEntries(others), what: `no ${name}` };
    }
    const inner = falsify(value[name] ?? null, random);
    return { falsified: { ...value, [name]: inner.falsified }, what: `${name}: ${inner.what}` };
  }
  if (isList(value)) {
    const places = [...value.keys()].filter((at) => !isFree(value[at]));
    const at = pick(places, random);
    if (at === undefined || random.chance(0.2)) return { falsified: [...value, 'planted'], what: 'an element more' };
    const inner = falsify(value[at] ?? null, random);
    return { falsified: value.with(at, inner.falsified), what: `[${at}]: ${inner.what}` };
  }
  if (typeof value === 'string') return { falsified: `${value}x`, what: 'another text' };
  if (typeof value === 'number') return { falsified: value + 1, what: 'another number' };
  return { falsified: value !== true, what: 'the contrary' };
}

/** A placeholder matches many values, so a change of it might change nothing. */
function isFree(value: Json | undefined): boolean {
  return typeof value === 'string' && parsePlaceholder(value) !== null;
}

function pick<Element>(elements: readonly Element[], random: Random): Element | undefined {
  return elements[random.below(elements.length)];
}
