// Failures that a user of the server can cause or meet. Each is told in one line on stderr and by an exit code, and
// never by a stack.

/** 1: the server could not start or go on. 2: the command line was wrong. */
export type ExitCode = 1 | 2;

export class ServerFailure extends Error {
  override readonly name = 'ServerFailure';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The `code` of an error of Node or Miniflare (`EADDRINUSE`, `EACCES`, …), or null. */
export function errorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
