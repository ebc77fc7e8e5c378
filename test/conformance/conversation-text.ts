// Writes a conversation as the lines that conversation.ts reads, so that a session that found a difference can be kept.

import { unreachable } from '../../src/base/assert.ts';
import type { Action, Answer, Body, Call, Conversation, Json, JsonObject } from './conversation.ts';

export function conversationText({ about, steps }: Conversation): string {
  const head = { conversation: { topic: 'random', about, etcd: '3.7.1', format: 1 } };
  return [head, ...steps.map(({ action }) => actionJson(action))].map((line) => `${JSON.stringify(line)}\n`).join('');
}

export function actionJson(action: Action): JsonObject {
  switch (action.kind) {
    case 'call': {
      const step = { call: callJson(action.call), answer: answerJson(action.answer) };
      return action.retryMs === 0 ? step : { ...step, retry_ms: action.retryMs };
    }
    case 'start':
      return { start: action.id, call: callJson(action.call) };
    case 'finish':
      return { finish: action.id, answer: answerJson(action.answer) };
    case 'openPost':
      return { open: action.id, as: 'post', call: callJson(action.call), ...byWatch(action.byWatch) };
    case 'openWebSocket': {
      const step = { open: action.id, as: 'websocket', call: callJson(action.call), ...byWatch(action.byWatch) };
      return { ...step, answer: answerJson(action.answer) };
    }
    case 'send':
      return { send: action.id, ...bodyJson(action.body) };
    case 'expect':
      return {
        expect: action.id,
        messages: action.messages,
        ...(action.status === null ? {} : { status: action.status }),
        ...(action.end ? { end: true } : {}),
      };
    case 'gather':
      return {
        gather: action.id,
        watches: Object.fromEntries(action.watches),
        ...(action.fragmented.length === 0 ? {} : { fragmented: action.fragmented }),
      };
    case 'progress':
      return { progress: action.id, revision: action.revision };
    case 'quiet':
      return { quiet: action.id, ms: action.ms };
    case 'close':
      return { close: action.id };
    case 'snapshot':
      return { snapshot: callJson(action.call), messages_at_least: action.messagesAtLeast };
    case 'sleep':
      return { sleep_ms: action.ms };
    default:
      return unreachable(action);
  }
}

function byWatch(value: boolean): JsonObject {
  return value ? { by_watch: true } : {};
}

function callJson({ method, path, headers, body }: Call): JsonObject {
  return {
    ...(method === 'POST' ? {} : { method }),
    path,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...bodyJson(body),
  };
}

function bodyJson(body: Body): JsonObject {
  switch (body.kind) {
    case 'none':
      return {};
    case 'json':
      return { json: body.value };
    case 'text':
      return { body: body.text };
    default:
      return unreachable(body);
  }
}

function answerJson({ status, headers, content }: Answer): JsonObject {
  const head: Record<string, Json> = { status };
  if (content.kind !== 'any' && content.type !== 'application/json') head['type'] = content.type;
  if (Object.keys(headers).length > 0) head['headers'] = headers;
  switch (content.kind) {
    case 'any':
      return head;
    case 'json':
      return { ...head, json: content.value };
    case 'text':
      return { ...head, text: content.text };
    default:
      return unreachable(content);
  }
}
