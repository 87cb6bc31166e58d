import type { Line, Reply } from '../threads/line.js';
import type { Command } from '../threads/protocol.js';
import type { FirstCall, Turn } from './turn.js';

/** How many run ahead at most: whoever has the writer waits for them, should it go on. */
const MOST_AHEAD = 20;
/** So many transactions in a row must have ended behind a statement that they began with. */
const SURE = 4;

/** Where one is refused (a schema, a listener, a store), so are those that come next: so long, in ms, none is sent. */
const PAUSE = 100;

/** The first call of a transaction, which was answered before its turn came. */
export interface FirstResult {
  readonly call: FirstCall;
  readonly reply: Reply;
}

interface Run {
  readonly turn: Turn;
  readonly call: FirstCall;
  /** Undefined while it is not answered, and for good where it was refused. */
  reply?: Reply & { type: 'held' };
}

/**
 * The first statements of those who wait, sent to run before their turn comes: while the caller who
 * has the writer thinks, the thread has nothing else to do, and callers who find their result there
 * follow one another without a trip to it. Only behind transactions that are likely to end next: such
 * as began with a statement behind which others ended.
 */
export class Ahead {
  #runs: Run[] = [];
  #refusedAt = Number.NEGATIVE_INFINITY;

  /** What to send behind a statement of `turn`. */
  *commands(turn: Turn, waiting: Iterable<Turn>, room: number, line: Line): Iterable<Command> {
    let before = turn.request.first?.();
    if (before === undefined || turn.sent !== 1) return;
    if (turn.since - this.#refusedAt < PAUSE) return;
    let at = 0;
    for (const next of waiting) {
      if (before.statement.endsNext < SURE) return;
      const run = this.#runs[at++];
      // Whoever was to be next may have gone.
      if (run !== undefined && run.turn !== next) return;
      const call = run?.call ?? next.request.first?.();
      if (at > Math.min(MOST_AHEAD, room) || call === undefined || !mayRunAhead(call)) return;
      if (run === undefined) yield this.#command(next, call, line);
      before = call;
    }
  }

  #command(turn: Turn, call: FirstCall, line: Line): Command {
    const run: Run = { turn, call };
    this.#runs.push(run);
    const reply = (reply: Reply) => {
      if (reply.type === 'held') run.reply = reply;
      else if (reply.type === 'done' && reply.failure === undefined) {
        this.#refusedAt = performance.now();
      }
    };
    const task = line.expect({ reply, lost: () => {} });
    return { type: 'ahead', task, words: line.wordsOf(call.statement, call.method, call.params) };
  }

  /** The result of the one that follows, where it ran and was answered. */
  take(next: Turn | undefined): FirstResult | undefined {
    const [run] = this.#runs;
    if (run === undefined || run.turn !== next || run.reply === undefined) return undefined;
    const { call, reply } = run;
    if (next.request.first?.() !== call) return undefined;
    this.#runs.shift();
    return { call, reply };
  }

  /** The thread undoes them. */
  drop(): void {
    if (this.#runs.length > 0) this.#runs = [];
  }

  /** The transaction of a turn sends a statement: learns that it goes on. */
  sent(turn: Turn | undefined): void {
    if (turn === undefined || ++turn.sent !== 2) return;
    const first = turn.request.first?.();
    if (first !== undefined) first.statement.endsNext = 0;
  }

  /** It is committed: learns that it ended behind its first statement. */
  ended(turn: Turn): void {
    const first = turn.sent === 1 ? turn.request.first?.() : undefined;
    if (first === undefined) return;
    first.statement.endsNext = Math.min(first.statement.endsNext + 1, SURE);
  }
}

function mayRunAhead({ statement }: FirstCall): boolean {
  const { kind, mayRollback, schema } = statement.classification;
  return kind === 'write' && !mayRollback && !schema;
}
