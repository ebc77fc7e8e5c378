// What can be asked of the fault port, and how the server's process passes it on to the Worker. Shared by both:
// fault-port on Node's side, worker-with-faults in workerd. A fault has the same form on both ways; only on the first
// may it name the leader or all.

/** One replica, or whoever leads, or every one. */
export type FaultTarget = number | 'leader' | 'all';

/** Of the calls between a replica and its peers: those of others to it, its own to others, or both. */
export type PeerDirection = 'in' | 'out' | 'both';

export type Fault =
  /** The object crashes. */
  | { readonly kind: 'abort' }
  /** The object crashes, and its storage is empty: it is one that was never provisioned. */
  | { readonly kind: 'wipe' }
  /**
   * `fail`: the chance that a call is lost on its way, and again that its answer is. `delayMs`: how late a call comes.
   */
  | { readonly kind: 'peers'; readonly direction: PeerDirection; readonly fail: number; readonly delayMs: number }
  /** Every call that comes to the object, of clients and of peers, waits that long before the object takes it. */
  | { readonly kind: 'slow'; readonly delayMs: number };

export type FaultRequest = { readonly tenant: string; readonly replica: FaultTarget; readonly fault: Fault };

/** What is set on one object. */
export type PeerFault = { readonly fail: number; readonly delayMs: number };
export type FaultsSet = { readonly in: PeerFault; readonly out: PeerFault; readonly slowMs: number };

export const noFaults: FaultsSet = { in: { fail: 0, delayMs: 0 }, out: { fail: 0, delayMs: 0 }, slowMs: 0 };

/** In the Worker: POST does a fault to one object, GET tells what is set on it. */
export const faultPath = '/_fault';
export const faultTokenHeader = 'Quorate-Fault-Token';
