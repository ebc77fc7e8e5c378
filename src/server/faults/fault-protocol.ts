// What can be asked of the fault port, and how the server's process passes it on to the Worker. fault-port on Node's
// side and worker-with-faults in workerd share this file. A fault has the same form on both ways; only a request to the
// fault port may name the leader or all replicas.

/** One replica by its number, the replica that leads, or every replica. */
export type FaultTarget = number | 'leader' | 'all';

/** Which calls between a replica and its peers: calls of the peers to it, its own calls to them, or both. */
export type PeerDirection = 'in' | 'out' | 'both';

export type Fault =
  /** The object crashes. */
  | { readonly kind: 'abort' }
  /** The object crashes and its storage is empty, as if the object had never been provisioned. */
  | { readonly kind: 'wipe' }
  /**
   * `fail`: the chance that a call is lost on its way, and the same chance again that its answer is lost. `delayMs`:
   * how late a call arrives.
   */
  | { readonly kind: 'peers'; readonly direction: PeerDirection; readonly fail: number; readonly delayMs: number }
  /** Every call that comes to the object, of clients and of peers, waits so long before the object takes it. */
  | { readonly kind: 'slow'; readonly delayMs: number };

export type FaultRequest = { readonly tenant: string; readonly replica: FaultTarget; readonly fault: Fault };

/** The faults that are set on one object. */
export type PeerFault = { readonly fail: number; readonly delayMs: number };
export type FaultsSet = { readonly in: PeerFault; readonly out: PeerFault; readonly slowMs: number };

export const noFaults: FaultsSet = { in: { fail: 0, delayMs: 0 }, out: { fail: 0, delayMs: 0 }, slowMs: 0 };

/** A path of the Worker: POST does a fault to one object, and GET tells which faults are set on it. */
export const faultPath = '/_fault';
export const faultTokenHeader = 'Quorate-Fault-Token';
