// Splits a migration into its statements, because D1 takes one statement a call.

/**
 * Quoted text, quoted names and comments: a semicolon inside them ends no statement. A doubled quote counts as the end
 * of one quoted text and the beginning of the next.
 */
const token = /'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|;/g;

/**
 * The statements in order, without the comments between them. A migration must not have triggers, which hold semicolons
 * of their own.
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
