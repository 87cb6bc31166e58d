import type { Line } from '../threads/line.js';
import type { Command } from '../threads/protocol.js';
import type { GroupQueue } from './group-queue.js';
import type { Turn } from './turn.js';
import type { WaitingTurns } from './waiting-turns.js';

/** Turns that another process grants: for whom it was asked. */
export class Asking {
  /** For whom it was asked; the turn still waits here. */
  turn: Turn | undefined;
  /** Whether that process will end, and wants nothing new. */
  pausing = false;
  #number = 0;

  ask(turn: Turn): Command {
    this.turn = turn;
    const { kind, limit } = turn.request;
    return { type: 'turn', turn: ++this.#number, kind, limit };
  }

  /** Takes the question back; what was granted meanwhile is given up by it too. */
  withdraw(): Command {
    this.turn = undefined;
    return { type: 'withdraw', turn: this.#number };
  }

  /**
   * What to send while this process has no turn: it asks for one while its groups go on, one at a
   * time. Once the other process will end, nothing new is sent.
   */
  next(line: Line, groups: GroupQueue, waiting: WaitingTurns): Command[] {
    const commands: Command[] = [];
    if (this.pausing) return this.turn === undefined ? commands : [this.withdraw()];
    const { next, upTo } = waiting;
    if (next !== undefined && this.turn === undefined) {
      const may = !next.isOneWrite || groups.hasPassed(next.after, false);
      if (may) commands.push(this.ask(next));
    }
    if (groups.sent === 0 && groups.gathers(upTo)) commands.push(groups.next(line, upTo));
    return commands;
  }

  /** Tells a process that will end that nothing is under way there, behind all that was sent. */
  rest(line: Line, groups: GroupQueue): void {
    if (this.pausing && groups.sent === 0 && line.calls === 0) line.rest();
  }

  /** The turn with this number was granted: whose it is, unless it was withdrawn. */
  granted(number: number): Turn | undefined {
    if (number !== this.#number) return undefined;
    const { turn } = this;
    this.turn = undefined;
    return turn;
  }

  lost(): void {
    this.turn = undefined;
    this.pausing = false;
  }
}
