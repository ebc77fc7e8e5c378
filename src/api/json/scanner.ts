// Reads JSON token by token from a byte string (each character one byte of the UTF-8), in one pass and without
// recursion. It is as strict as Go's two readers together: RFC 8259, valid UTF-8, no lone surrogates, at most 10,000
// levels. Nothing is thrown for bad input: a method that fails returns null or false and leaves the reason in `fault`.

import { Buffer } from 'node:buffer';
import { jsonDepthMax } from '../../limits.ts';
import { textOf } from '../../base/bytes.ts';
import { decodeBase64, decodeBase64Range } from './base64.ts';

const quote = 0x22;
const backslash = 0x5c;
const space = 0x20;

/**
 * Up to this length the platform's UTF-8 decoder starts faster than Buffer; beyond it, its checks cost more than a
 * plain copy.
 */
const decodedBytesMax = 16_384;

/** A string with one character for each byte. V8 keeps such a string at one byte a character. */
export function byteString(bytes: Uint8Array): string {
  if (bytes.byteLength <= decodedBytesMax) {
    // A text that is ASCII is its own byte string, and only in ASCII is every character one byte.
    const text = textOf(bytes);
    if (text !== null && text.length === bytes.byteLength) return text;
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The bytes of a byte string. */
function bytesOfByteString(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export class Scanner {
  readonly text: string;
  position = 0;
  depth = 0;
  fault: string | null = null;

  constructor(text: string) {
    this.text = text;
  }

  fail(reason: string): null {
    this.fault ??= `${reason} (at byte ${this.position})`;
    return null;
  }

  /** The next character that is not white space, as its code; NaN at the end. */
  peek(): number {
    const text = this.text;
    let code = text.charCodeAt(this.position);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++this.position);
    return code;
  }

  atEnd(): boolean {
    return Number.isNaN(this.peek());
  }

  /** Takes one structural character. */
  take(character: string): boolean {
    if (this.peek() !== character.charCodeAt(0)) {
      this.fail(`expected "${character}"`);
      return false;
    }
    this.position++;
    return true;
  }

  /** Enters an object or array; `open` is "{" or "[". */
  enter(open: string): boolean {
    if (!this.take(open)) return false;
    if (++this.depth > jsonDepthMax) {
      this.fail('nested too deeply');
      return false;
    }
    return true;
  }

  /**
   * What follows an element: true where it is "," and one more element follows, false where it is `close`, null
   * otherwise.
   */
  more(close: string): boolean | null {
    const code = this.peek();
    if (code === 0x2c) {
      this.position++;
      return true;
    }
    return this.leaves(close) ? false : this.fail(`expected "," or "${close}"`);
  }

  /** Takes `close` where it is next. */
  leaves(close: string): boolean {
    if (this.peek() !== close.charCodeAt(0)) return false;
    this.position++;
    this.depth--;
    return true;
  }

  /** Takes a name and its colon. */
  readName(): string | null {
    const name = this.readString();
    if (name === null || !this.take(':')) return null;
    return name;
  }

  /** Takes a string, and answers it as a byte string whose escapes are resolved to UTF-8. */
  readString(): string | null {
    if (this.peek() !== quote) return this.fail('expected a string');
    const text = this.text;
    const start = this.position + 1;
    let position = start;
    let seen = 0;
    let code = text.charCodeAt(position);
    while (code !== quote && code !== backslash) {
      // The end of the input gives NaN, for which no comparison holds.
      if (!(code >= space)) return this.failAt(position, 'a control character or the end inside a string');
      seen |= code;
      code = text.charCodeAt(++position);
    }
    if (code === backslash) return this.readEscaped(start);
    this.position = position + 1;
    const raw = text.slice(start, position);
    if (seen >= 0x80 && textOf(bytesOfByteString(raw)) === null) return this.failAt(start, 'a string is not UTF-8');
    return raw;
  }

  /** Takes a string, and answers its text. */
  readText(): string | null {
    const raw = this.readString();
    return raw === null ? null : textOfByteString(raw);
  }

  /** Takes a string of base64, and answers its bytes. */
  readBase64(): Uint8Array | null {
    if (this.peek() !== quote) return this.fail('expected a string of base64');
    const start = this.position + 1;
    // Base64 has no escapes and no quotes, so the characters up to the next quote either are right or need the slow
    // way.
    const end = this.text.indexOf('"', start);
    if (end >= 0) {
      const bytes = decodeBase64Range(this.text, start, end);
      if (bytes !== null) {
        this.position = end + 1;
        return bytes;
      }
    }
    const text = this.readString();
    if (text === null) return null;
    return decodeBase64(text) ?? this.failAt(start, 'a string is not base64');
  }

  /** Takes a number (RFC 8259), and answers its text. */
  readNumber(): string | null {
    this.peek();
    number.lastIndex = this.position;
    const match = number.exec(this.text);
    if (match === null)
      return this.fail(this.position < this.text.length ? 'expected a value' : 'the text ends too early');
    this.position += match[0].length;
    return match[0];
  }

  /** Takes `true` or `false`; null where neither is next. */
  readBoolean(): boolean | null {
    if (this.takeWord('true')) return true;
    if (this.takeWord('false')) return false;
    return this.fail('expected true or false');
  }

  /** Takes `null` where it is next. */
  takeNull(): boolean {
    return this.takeWord('null');
  }

  /** Passes over one value of any kind, which must be valid. */
  skipValue(): boolean {
    const outside = this.depth;
    const closes: string[] = [];
    for (;;) {
      const opened = this.skipToken(closes);
      if (opened === null) return false;
      if (opened) continue;
      for (;;) {
        const close = closes.at(-1);
        if (close === undefined) return this.depth === outside;
        const more = this.more(close);
        if (more === null) return false;
        if (more) {
          if (close === '}' && this.readName() === null) return false;
          break;
        }
        closes.pop();
      }
    }
  }

  /**
   * Takes one scalar, or the beginning of a container that is not empty. The answer is then true, and its first name is
   * read, too.
   */
  private skipToken(closes: string[]): boolean | null {
    const code = this.peek();
    if (code === 0x7b || code === 0x5b) {
      const close = code === 0x7b ? '}' : ']';
      if (!this.enter(code === 0x7b ? '{' : '[')) return null;
      if (this.leaves(close)) return false;
      if (close === '}' && this.readName() === null) return null;
      closes.push(close);
      return true;
    }
    if (code === quote) return this.readString() === null ? null : false;
    if (code === 0x2d || (code >= 0x30 && code <= 0x39)) return this.readNumber() === null ? null : false;
    if (this.takeWord('true') || this.takeWord('false') || this.takeWord('null')) return false;
    return this.fail('expected a value');
  }

  private takeWord(word: string): boolean {
    this.peek();
    if (!this.text.startsWith(word, this.position)) return false;
    this.position += word.length;
    return true;
  }

  private failAt(position: number, reason: string): null {
    this.position = position;
    return this.fail(reason);
  }

  /** Takes a string with escapes, from `start`. Its grammar is checked here, and JSON.parse resolves the escapes. */
  private readEscaped(start: number): string | null {
    const text = this.text;
    let position = start;
    for (let code = text.charCodeAt(position); code !== quote; code = text.charCodeAt(position)) {
      if (!(code >= space)) return this.failAt(position, 'a control character or the end inside a string');
      if (code !== backslash) {
        position++;
        continue;
      }
      escape.lastIndex = position;
      if (!escape.test(text)) return this.failAt(position, 'a bad escape in a string');
      position = escape.lastIndex;
    }
    const body = textOf(bytesOfByteString(text.slice(start, position)));
    if (body === null) return this.failAt(start, 'a string is not UTF-8');
    const resolved: unknown = JSON.parse(`"${body}"`);
    if (typeof resolved !== 'string' || !resolved.isWellFormed()) {
      return this.failAt(start, 'a string has half a surrogate pair');
    }
    this.position = position + 1;
    return Buffer.from(resolved, 'utf8').toString('latin1');
  }
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The text of a byte string that the scanner has found to be UTF-8. */
export function textOfByteString(raw: string): string {
  return Buffer.from(raw, 'latin1').toString('utf8');
}
