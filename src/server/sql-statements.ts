// Splits a migration into its statements. D1 takes one statement a call.

/**
 * Quoted text, quoted names, comments: a semicolon inside one of these ends nothing. A doubled quote begins the next
 * one.
 */
const token = /'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|;/g;

/**
 * Statements without comments outside of them, in order. Triggers, which hold semicolons of their own, are not for
 * migrations.
 */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  let taken = 0;
  for (const match of text.matchAll(token)) {
    const [found] = match;
    current += text.slice(taken, match.index);
    taken = match.index + found.length;
    if (found === ';') {
      statements.push(current.trim());
      current = '';
    } else if (found.startsWith('--') || found.startsWith('/*')) {
      current += ' ';
    } else {
      current += found;
    }
  }
  statements.push((current + text.slice(taken)).trim());
  return statements.filter((statement) => statement !== '');
}
