// Finds the ranges that hold a key: a map for single keys, and an interval tree (a treap whose nodes have the greatest
// end below them) for all others. So an event costs time by its matches, and not by the number of watches. This file
// knows nothing of watchers or revisions.
//
// Keys are text here, one character for each byte: such strings compare natively and in the order of the bytes.

import { assert } from '../../base/assert.ts';
import { keyText } from '../../base/bytes.ts';
import type { KeyRange } from '../../model/store.ts';

/** One distinct range. `end` null: every key from `start` on. `single`: the one key `start`. */
export type IndexedRange<Member> = {
  readonly start: string;
  readonly end: string | null;
  readonly single: boolean;
  readonly members: Set<Member>;
};

type Node<Member> = {
  readonly range: IndexedRange<Member>;
  readonly priority: number;
  /** The greatest end in this subtree. Null: some range has no end. */
  greatestEnd: string | null;
  left: Node<Member> | null;
  right: Node<Member> | null;
};

export class WatchRanges<Member> {
  readonly #singles = new Map<string, IndexedRange<Member>>();
  #root: Node<Member> | null = null;
  #seed = 0x9e3779b9;

  /** Adds `member` to a range of etcd's form. A range that holds no key must not come here. */
  add(range: KeyRange, member: Member): void {
    const bounds = boundsOf(range);
    assert(bounds.single || bounds.end === null || bounds.start < bounds.end, 'a watched range is empty');
    const known = this.#find(bounds);
    if (known !== null) {
      known.members.add(member);
      return;
    }
    const added: IndexedRange<Member> = { ...bounds, members: new Set([member]) };
    if (added.single) this.#singles.set(added.start, added);
    else this.#root = insert(this.#root, leaf(added, this.#priority()));
  }

  delete(range: KeyRange, member: Member): void {
    const known = this.#find(boundsOf(range));
    if (known === null) return;
    known.members.delete(member);
    if (known.members.size > 0) return;
    if (known.single) this.#singles.delete(known.start);
    else this.#root = remove(this.#root, known);
  }

  /**
   * Calls `visit` with every member whose range holds the key, in no particular order. Returns how many ranges it
   * looked at.
   */
  visit(key: string, visit: (member: Member) => void): number {
    const single = this.#singles.get(key);
    if (single !== undefined) for (const member of single.members) visit(member);
    return 1 + stab(this.#root, key, visit);
  }

  #find(bounds: Bounds): IndexedRange<Member> | null {
    if (bounds.single) return this.#singles.get(bounds.start) ?? null;
    let node = this.#root;
    while (node !== null) {
      const order = compareRanges(bounds, node.range);
      if (order === 0) return node.range;
      node = order < 0 ? node.left : node.right;
    }
    return null;
  }

  /** Xorshift: the balance of the tree needs numbers without a pattern, and no secrecy. */
  #priority(): number {
    this.#seed ^= this.#seed << 13;
    this.#seed ^= this.#seed >>> 17;
    this.#seed ^= this.#seed << 5;
    return this.#seed;
  }
}

type Bounds = { readonly start: string; readonly end: string | null; readonly single: boolean };

function boundsOf(range: KeyRange): Bounds {
  const start = keyText(range.key);
  if (range.rangeEnd.byteLength === 0) return { start, end: start, single: true };
  const end = keyText(range.rangeEnd);
  return { start, end: end === '\0' ? null : end, single: false };
}

function compareRanges(left: Bounds, right: Bounds): number {
  if (left.start !== right.start) return left.start < right.start ? -1 : 1;
  if (left.end === right.end) return 0;
  return left.end !== null && (right.end === null || left.end < right.end) ? -1 : 1;
}

function leaf<Member>(range: IndexedRange<Member>, priority: number): Node<Member> {
  return { range, priority, greatestEnd: range.end, left: null, right: null };
}

function insert<Member>(root: Node<Member> | null, added: Node<Member>): Node<Member> {
  if (root === null) return added;
  if (added.priority > root.priority) {
    [added.left, added.right] = split(root, added.range);
    return measured(added);
  }
  if (compareRanges(added.range, root.range) < 0) root.left = insert(root.left, added);
  else root.right = insert(root.right, added);
  return measured(root);
}

/** The subtrees of all ranges before and after `at`. */
function split<Member>(root: Node<Member> | null, at: Bounds): [Node<Member> | null, Node<Member> | null] {
  if (root === null) return [null, null];
  if (compareRanges(root.range, at) < 0) {
    const [before, after] = split(root.right, at);
    root.right = before;
    return [measured(root), after];
  }
  const [before, after] = split(root.left, at);
  root.left = after;
  return [before, measured(root)];
}

function remove<Member>(root: Node<Member> | null, range: Bounds): Node<Member> | null {
  if (root === null) return null;
  const order = compareRanges(range, root.range);
  if (order === 0) return merge(root.left, root.right);
  if (order < 0) root.left = remove(root.left, range);
  else root.right = remove(root.right, range);
  return measured(root);
}

function merge<Member>(left: Node<Member> | null, right: Node<Member> | null): Node<Member> | null {
  if (left === null) return right;
  if (right === null) return left;
  if (left.priority > right.priority) {
    left.right = merge(left.right, right);
    return measured(left);
  }
  right.left = merge(left, right.left);
  return measured(right);
}

function measured<Member>(node: Node<Member>): Node<Member> {
  let greatest = node.range.end;
  for (const child of [node.left, node.right]) {
    if (child === null || greatest === null) continue;
    if (child.greatestEnd === null || child.greatestEnd > greatest) greatest = child.greatestEnd;
  }
  node.greatestEnd = greatest;
  return node;
}

function stab<Member>(root: Node<Member> | null, key: string, visit: (member: Member) => void): number {
  let looked = 0;
  let node = root;
  while (node !== null && (node.greatestEnd === null || node.greatestEnd > key)) {
    looked += 1 + stab(node.left, key, visit);
    if (node.range.start > key) return looked;
    if (node.range.end === null || node.range.end > key) for (const member of node.range.members) visit(member);
    node = node.right;
  }
  return looked;
}
