// Reads a request's body into memory, up to a bound.

/** null: it is longer than `bytesMax`; no more than that was kept. */
export async function readBody(request: Request, bytesMax: number): Promise<ArrayBuffer | null> {
  if (request.body === null) return new ArrayBuffer(0);
  const declared = request.headers.get('Content-Length');
  if (declared !== null) return Number(declared) > bytesMax ? null : request.arrayBuffer();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body) {
    bytes += part.byteLength;
    if (bytes > bytesMax) return null;
    parts.push(part);
  }
  return new Blob(parts).arrayBuffer();
}
