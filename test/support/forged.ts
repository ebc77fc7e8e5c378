// A secret that is not the one that it looks like.

/** The last character is another one of the same alphabet. */
export function forged(text: string): string {
  return `${text.slice(0, -1)}${text.endsWith('a') ? 'b' : 'a'}`;
}
