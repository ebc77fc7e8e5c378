// Plays the scripts in `golden/`: a line that begins with `>` does something to a group of replicas, the indented lines
// below it say what came of it. All is deterministic, so a script is compared with what is said when it is played
// again.
//
//   > group 1 2 3                 a fresh group; `> group 1 2 3 timeout 10 heartbeat 3` sets the ticks
//                                 `> group 1 2 learner 3`: the last one does not vote
//   > log 2: 1 1 4 4 in term 5 commit 2     before the group starts: the terms of a replica's log
//   > 1 campaign | tick N | propose a b … | read N … | transfer M | rest | tellCommit
//   > 1 propose a & read 1      both in one turn
//   > 1 crash            memory is lost, the disk is not; what is on its way to it is lost too
//   > 3 losesDisk        the same, and the disk is empty
//   > deliver            until nothing is on its way;  `> deliver once` only what is on its way now;
//                        `> deliver 1→2` what is on its way on one link
//   > lose 1→2           what is on its way on one link; `> hold 1→2` lets it wait for a `deliver` that names it
//   > cut 1 | 2 3        nothing passes between the sides, until `> heal`
//   > show               one line for each replica
//   > quietly …          any of these, and nothing is said
//
// A message is told when it is delivered. `3@2` is the entry at index 3 of term 2.

import { assert, unreachable } from '../../src/base/assert.ts';
import { replicaId, type ReplicaId, type Term } from '../../src/model/brands.ts';
import { textOf, utf8 } from '../../src/base/bytes.ts';
import type { Effects, Entry, Message, Role } from '../../src/raft/types.ts';
import { Disk, Host } from './host.ts';

/** The script as it should read: the same commands, each followed by what happened. */
export function play(script: string): string {
  const conversation = new Conversation();
  const told: string[] = [];
  for (const line of script.split('\n')) {
    if (line.startsWith('  ')) continue;
    told.push(line);
    if (!line.startsWith('> ')) continue;
    for (const said of conversation.run(line.slice(2))) told.push(`  ${said}`);
  }
  return told.join('\n');
}

class Conversation {
  readonly #hosts = new Map<ReplicaId, Host>();
  #onTheWay: Message[] = [];
  readonly #held = new Set<string>();
  readonly #sides = new Map<ReplicaId, number>();
  readonly #disks = new Map<ReplicaId, Disk>();
  readonly #roles = new Map<ReplicaId, string>();
  #said: string[] = [];

  run(command: string): readonly string[] {
    if (command.startsWith('quietly ')) {
      this.run(command.slice('quietly '.length));
      return [];
    }
    this.#said = [];
    const [first = '', ...rest] = command.split(' ');
    if (/^\d+$/.test(first)) this.#act(replicaId(Number(first)), rest);
    else this.#arrange(first, rest, command);
    return this.#said;
  }

  #arrange(verb: string, words: readonly string[], command: string): void {
    switch (verb) {
      case 'log':
        return this.#presetLog(command);
      case 'group':
        return this.#start(words);
      case 'deliver':
        return this.#deliver(words[0]);
      case 'lose':
        this.#onTheWay = this.#onTheWay.filter((message) => !this.#isOn(words[0], message, 'lost'));
        return;
      case 'hold':
        this.#held.add(words[0] ?? '');
        return;
      case 'cut':
        for (const [side, names] of command.slice('cut '.length).split('|').entries()) {
          for (const name of names.trim().split(' ')) this.#sides.set(replicaId(Number(name)), side);
        }
        return;
      case 'heal':
        return this.#sides.clear();
      case 'show':
        for (const host of this.#hosts.values()) this.#say(describeHost(host));
        return;
      default:
        assert(false, `no such command: ${command}`);
    }
  }

  /** Commands that are joined by `&` happen in one turn. */
  #act(id: ReplicaId, words: readonly string[]): void {
    const host = this.#hosts.get(id);
    assert(host !== undefined, `no replica ${id}`);
    for (const action of words.join(' ').split(' & ')) this.#input(host, action.split(' '));
    this.#turn(host);
  }

  #input(host: Host, [verb = '', ...rest]: readonly string[]): void {
    const { id, raft } = host;
    switch (verb) {
      case 'tick':
        for (let count = Number(rest[0] ?? 1); count > 0; count--) {
          raft.tick();
          this.#turn(host);
        }
        return;
      case 'propose':
        for (const data of rest) if (raft.propose(utf8(data)) === null) this.#say(`${id} takes no proposal`);
        return;
      case 'read':
        return rest.forEach((context) => raft.requestRead(Number(context)));
      case 'campaign':
        return raft.campaign();
      case 'transfer':
        if (!raft.transferLeadership(replicaId(Number(rest[0])))) this.#say(`${id} does not transfer`);
        return;
      case 'rest':
        if (raft.mayRest) raft.rest();
        else this.#say(`${id} may not rest`);
        return;
      case 'tellCommit':
        return raft.tellCommit();
      case 'crash':
      case 'losesDisk':
        this.#onTheWay = this.#onTheWay.filter((message) => message.to !== id);
        if (verb === 'crash') host.restart();
        else host.loseDisk();
        this.#roles.delete(id);
        return;
      default:
        assert(false, `replicas cannot ${verb}`);
    }
  }

  #presetLog(command: string): void {
    const parts = /^log (\d+):((?: \d+)*) in term (\d+)(?: commit (\d+))?$/.exec(command);
    assert(parts !== null, `not a log: ${command}`);
    const [, id, terms = '', term, commit = '0'] = parts;
    const disk = new Disk();
    disk.preset(terms.split(' ').filter(Boolean).map(Number), { term: Number(term), commit: Number(commit) });
    this.#disks.set(replicaId(Number(id)), disk);
  }

  #start(words: readonly string[]): void {
    const numberAfter = (word: string, otherwise: number): number => {
      const place = words.indexOf(word);
      return place === -1 ? otherwise : Number(words[place + 1]);
    };
    this.#hosts.clear();
    this.#onTheWay = [];
    this.#held.clear();
    this.#sides.clear();
    this.#roles.clear();
    const end = words.findIndex((word) => !/^\d+$/.test(word));
    const voters = words.slice(0, end === -1 ? undefined : end).map((word) => replicaId(Number(word)));
    const learner = numberAfter('learner', 0);
    const learners = learner === 0 ? [] : [replicaId(learner)];
    for (const id of [...voters, ...learners]) {
      // The first number drawn numbers questions, the others are time-outs: replica n waits 10 + n of 10 to 20 ticks.
      let isFirst = true;
      const random = (): number => {
        const drawn = isFirst ? 0 : id / 10;
        isFirst = false;
        return drawn;
      };
      const options = {
        id,
        voters,
        withLearner: learners.length > 0,
        random,
        electionTimeoutTicks: numberAfter('timeout', 10),
        heartbeatTicks: numberAfter('heartbeat', 3),
        send: (message: Message) => void this.#onTheWay.push(message),
        onEffects: (of: Host, effects: Effects) => this.#tell(of, effects),
      };
      this.#hosts.set(id, new Host(options, this.#disks.get(id)));
    }
    this.#disks.clear();
  }

  #deliver(which: string | undefined): void {
    if (which === undefined) {
      for (let hops = 0; this.#onTheWay.some((message) => !this.#isHeld(message)); hops++) {
        assert(hops < 100, 'the conversation does not end');
        this.#deliverThese((message) => !this.#isHeld(message));
      }
    } else if (which === 'once') {
      this.#deliverThese((message) => !this.#isHeld(message));
    } else {
      this.#held.delete(which);
      this.#deliverThese((message) => this.#isOn(which, message));
    }
  }

  #deliverThese(these: (message: Message) => boolean): void {
    const now = this.#onTheWay.filter(these);
    this.#onTheWay = this.#onTheWay.filter((message) => !now.includes(message));
    for (const message of now) {
      const isCut = this.#sides.get(message.from) !== this.#sides.get(message.to);
      this.#say(`${describeMessage(message)}${isCut ? ' (lost)' : ''}`);
      const host = this.#hosts.get(message.to);
      if (isCut || host === undefined) continue;
      host.raft.receive(message);
      this.#turn(host);
    }
  }

  #isHeld(message: Message): boolean {
    return this.#held.has(`${message.from}→${message.to}`);
  }

  #isOn(link: string | undefined, message: Message, fate?: string): boolean {
    if (link !== `${message.from}→${message.to}`) return false;
    if (fate !== undefined) this.#say(`${describeMessage(message)} (${fate})`);
    return true;
  }

  #turn(host: Host): void {
    host.turn();
    this.#tellRole(host);
  }

  #tellRole({ id, raft }: Host): void {
    const role = raft.resting ? `rests as ${raft.role}` : describeRole(raft.role, raft.term);
    if (role === (this.#roles.get(id) ?? 'follows')) return;
    this.#roles.set(id, role);
    this.#say(`${id} ${role}`);
  }

  #tell(host: Host, effects: Effects): void {
    const { id } = host;
    this.#tellRole(host);
    const { hardState, entries, committed, reads, refusedReads } = effects;
    if (hardState !== null) {
      const vote = hardState.votedFor === null ? '' : `, vote for ${hardState.votedFor}`;
      this.#say(`${id} saves term ${hardState.term}${vote}`);
    }
    if (entries.length > 0) this.#say(`${id} saves ${describeEntries(entries)}`);
    if (committed.length > 0) this.#say(`${id} applies ${describeEntries(committed)}`);
    for (const read of reads) this.#say(`${id} serves read ${read.context} at ${read.index}`);
    for (const context of refusedReads) this.#say(`${id} refuses read ${context}`);
  }

  #say(what: string): void {
    this.#said.push(what);
  }
}

function describeRole(role: Role, term: Term): string {
  switch (role) {
    case 'leader':
      return `leads term ${term}`;
    case 'follower':
      return 'follows';
    case 'preCandidate':
      return `asks for pre-votes`;
    case 'candidate':
      return `asks for votes in term ${term}`;
    default:
      return unreachable(role);
  }
}

function describeHost({ id, raft, disk }: Host): string {
  const terms = disk.log.map((entry) => entry.term).join(' ') || 'empty';
  const leader = raft.leader === null ? 'no leader' : `leader ${raft.leader}`;
  return `${id}: ${raft.role}${raft.resting ? ' at rest' : ''}, term ${raft.term}, ${leader}, commit ${raft.commit}, log ${terms}`;
}

function describeEntries(entries: readonly Entry[]): string {
  return entries.map(describeEntry).join(' ');
}

function describeEntry(entry: Entry): string {
  const data = textOf(entry.data) ?? '';
  const content = entry.kind === 'command' ? data : entry.kind;
  return `${entry.index}@${entry.term}${content === '' ? '' : `(${content})`}`;
}

function describeMessage(message: Message): string {
  return `${message.from} → ${message.to} ${describeContent(message)}, term ${message.term}`;
}

function describeContent(message: Message): string {
  switch (message.kind) {
    case 'preVote':
    case 'vote': {
      const urgent = message.urgent ? 'urgent ' : '';
      return `${urgent}${message.kind} for a log up to ${message.lastLogIndex}@${message.lastLogTerm}`;
    }
    case 'preVoteReply':
    case 'voteReply':
      return `${message.kind} ${message.granted ? 'yes' : 'no'}`;
    case 'append': {
      const entries = message.entries.length === 0 ? 'nothing' : describeEntries(message.entries);
      const previous = `${message.previousIndex}@${message.previousTerm}`;
      return `append ${entries} after ${previous}, commit ${message.commit}, round ${message.round}`;
    }
    case 'appendReply':
      return message.accepted
        ? `appendReply match ${message.matchIndex}, round ${message.round}`
        : `appendReply no at ${message.rejectedIndex}, try ${message.hintIndex}@${message.hintTerm}, round ${message.round}`;
    case 'heartbeat':
      return `heartbeat commit ${message.commit}, round ${message.round}`;
    case 'heartbeatReply':
      return `heartbeatReply round ${message.round}`;
    case 'readIndex':
      return `readIndex question ${message.context}`;
    case 'readIndexReply':
      return `readIndexReply question ${message.context} ${message.index === null ? 'refused' : `at ${message.index}`}`;
    case 'rest':
      return `rest commit ${message.commit}`;
    case 'snapshot':
      return `snapshot needed, the log begins after ${message.base}`;
    case 'removed':
      return `removed, members are ${message.members.join(' ')}`;
    case 'timeoutNow':
      return 'timeoutNow';
    default:
      return unreachable(message);
  }
}
