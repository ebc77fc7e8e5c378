// What kind of socket an object holds, by the tag with which the object accepted it.

/** Of a socket that both ends have closed the platform knows no tags any more. */
export function hasTag(host: Pick<DurableObjectState, 'getTags'>, socket: WebSocket, tag: string): boolean {
  try {
    return host.getTags(socket).includes(tag);
  } catch {
    return false;
  }
}
