// Integers in JSON as Go's protojson reads them: the text of any JSON number whose value is whole, within 64 or 32
// bits, without loss.

const int64Max = 9_223_372_036_854_775_807n;
const int64Min = -9_223_372_036_854_775_808n;
const int32Max = 2_147_483_647;
const int32Min = -2_147_483_648;

/** Go gives up on more digits before it looks at the value. */
const digitsMax = 20;

const numberParts = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** A number of up to fifteen digits is exact as a JS number, however its digits are added up. */
const plainDigitsMax = 15;

/**
 * A number where it is exact, else a bigint; null where `text` is not a number, not whole, or needs more than 64 bits.
 */
export function parseInt64(text: string): number | bigint | null {
  const plain = parsePlain(text);
  if (plain !== null) return plain;
  const digits = wholeDigits(text);
  if (digits === null) return null;
  const value = BigInt(digits);
  if (value > int64Max || value < int64Min) return null;
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}

/**
 * Go reads a quoted number as a JSON text of its own, of which only the first token counts: what follows it after a
 * character that can be in no number is passed over, as in `"9,5"` and `"9 5"`. Space at either end is an error.
 */
export function numberInQuotes(text: string): string {
  const token = /^[-+.\w]*/.exec(text)?.[0] ?? '';
  return token.length === text.length || text.trim().length !== text.length ? text : token;
}

const uint64Max = 18_446_744_073_709_551_615n;

export function parseUint64(text: string): bigint | null {
  const digits = wholeDigits(text);
  if (digits === null) return null;
  const value = BigInt(digits);
  return value >= 0n && value <= uint64Max ? value : null;
}

export function parseInt32(text: string): number | null {
  const value = parseInt64(text);
  return typeof value === 'number' && value <= int32Max && value >= int32Min ? value : null;
}

/** The fast way for what nearly every request has: `-1`, `0`, `17`. */
function parsePlain(text: string): number | null {
  const negative = text.charCodeAt(0) === 0x2d;
  const start = negative ? 1 : 0;
  const digits = text.length - start;
  if (digits < 1 || digits > plainDigitsMax) return null;
  if (digits > 1 && text.charCodeAt(start) === 0x30) return null;
  let value = 0;
  for (let position = start; position < text.length; position++) {
    const digit = text.charCodeAt(position) - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  return negative && value !== 0 ? -value : value;
}

/** The digits of a whole number, with its sign: `1.20e1` is `12`. */
function wholeDigits(text: string): string | null {
  const parts = numberParts.exec(text);
  if (parts === null) return null;
  const [, sign = '', integerText = '', fractionText = '', exponentText = '0'] = parts;
  const integer = integerText === '0' ? '' : integerText;
  const fraction = withoutTrailingZeros(fractionText);
  if (integer === '' && fraction === '') return '0';
  const exponent = Number(exponentText);
  if (exponent > int32Max || exponent < int32Min) return null;
  if (exponent >= 0) {
    if (fraction.length > exponent || integer.length + exponent > digitsMax) return null;
    return sign + integer + fraction + '0'.repeat(exponent - fraction.length);
  }
  const kept = integer.length + exponent;
  if (fraction !== '' || kept < 0 || /[^0]/.test(integer.slice(kept))) return null;
  return kept === 0 ? '0' : sign + integer.slice(0, kept);
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}
