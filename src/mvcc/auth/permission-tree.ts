// Decides, as etcd does, whether a user may ask for a range that holds nothing: one whose end is not above its key.
// etcd looks such a range up in the tree of the user's permissions, whose search leaves branches out that lie beyond
// the range's end; so what it finds depends on the tree's shape. The tree is the textbook's: red-black, by where
// intervals begin and then end, each node with the latest end below it (Cormen, Leiserson, Rivest, Stein: Introduction
// to Algorithms, 3rd edition, chapters 13 and 14.3). Nothing can be read or written by such a range, whatever is
// answered.

import { compareBytes } from '../../base/bytes.ts';
import { type Interval, laterEnd } from './permission-ranges.ts';

type Node = {
  readonly interval: Interval;
  latestEnd: Uint8Array | null;
  red: boolean;
  parent: Node | null;
  left: Node | null;
  right: Node | null;
};
type Side = 'left' | 'right';

export class PermissionTree {
  #root: Node | null = null;

  /** The permissions in etcd's order: by roles, then by keys. */
  constructor(intervals: Iterable<Interval>) {
    for (const interval of intervals) this.#insert(interval);
    setLatestEnds(this.#root);
  }

  holdsEmpty(key: Uint8Array, rangeEnd: Uint8Array): boolean {
    return finds(this.#root, key, rangeEnd);
  }

  #insert(interval: Interval): void {
    let parent: Node | null = null;
    let side: Side = 'left';
    for (let node = this.#root; node !== null; node = node[side]) {
      parent = node;
      side = comesBefore(interval, node.interval) ? 'left' : 'right';
    }
    const added: Node = { interval, latestEnd: interval.to, red: true, parent, left: null, right: null };
    if (parent === null) this.#root = added;
    else parent[side] = added;
    this.#balance(added);
  }

  #balance(added: Node): void {
    let node = added;
    for (;;) {
      const parent = node.parent;
      const grandparent = parent?.parent ?? null;
      if (parent === null || !parent.red || grandparent === null) break;
      const side: Side = parent === grandparent.left ? 'left' : 'right';
      const other = otherSide(side);
      const uncle = grandparent[other];
      if (uncle?.red === true) {
        uncle.red = false;
        parent.red = false;
        grandparent.red = true;
        node = grandparent;
        continue;
      }
      const isInner = node === parent[other];
      const top = isInner ? node : parent;
      if (isInner) this.#rotate(parent, side);
      top.red = false;
      grandparent.red = true;
      this.#rotate(grandparent, other);
      break;
    }
    if (this.#root !== null) this.#root.red = false;
  }

  /** Moves a node down to `side`; its child of the other side takes its place. */
  #rotate(node: Node, side: Side): void {
    const other = otherSide(side);
    const child = node[other];
    if (child === null) return;
    node[other] = child[side];
    if (child[side] !== null) child[side].parent = node;
    child.parent = node.parent;
    if (node.parent === null) this.#root = child;
    else if (node.parent.left === node) node.parent.left = child;
    else node.parent.right = child;
    child[side] = node;
    node.parent = child;
  }
}

function comesBefore(one: Interval, other: Interval): boolean {
  const order = compareBytes(one.from, other.from);
  if (order !== 0 || one.to === null) return order < 0;
  return other.to === null || compareBytes(one.to, other.to) < 0;
}

function otherSide(side: Side): Side {
  return side === 'left' ? 'right' : 'left';
}

function setLatestEnds(node: Node | null): void {
  if (node === null) return;
  let latest = node.interval.to;
  for (const child of [node.left, node.right]) {
    if (child === null) continue;
    setLatestEnds(child);
    latest = laterEnd(latest, child.latestEnd);
  }
  node.latestEnd = latest;
}

/** The tree is no deeper than a balanced tree. */
function finds(node: Node | null, key: Uint8Array, rangeEnd: Uint8Array): boolean {
  if (node === null) return false;
  const { from, to } = node.interval;
  if (compareBytes(key, from) < 0) return finds(node.left, key, rangeEnd);
  if (to === null || compareBytes(key, to) < 0) return true;
  if (compareBytes(from, rangeEnd) >= 0) return false;
  if (node.latestEnd !== null && compareBytes(node.latestEnd, key) <= 0) return false;
  return finds(node.left, key, rangeEnd) || finds(node.right, key, rangeEnd);
}
