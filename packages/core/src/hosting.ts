import type { Database } from './database.js';
import { PoolError } from './errors.js';
import type { GivenUnit } from './sharing/checks.js';
import type { Desk, TurnEnd, UnitEnd } from './sharing/desk.js';
import type { Line } from './threads/line.js';
import type { Command } from './threads/protocol.js';
import { type Guest, GuestUnit } from './writing/guest-units.js';
import type { Turn, TurnKind } from './writing/turn.js';
import type { UnitStatement } from './writing/unit.js';

/** What other processes hear of a pool that can do nothing for them any more: they may try again. */
function ended(cause: Error): PoolError {
  const message = 'the process that writes is ending: nothing of the statement is stored';
  return new PoolError('POOL_THREAD_LOST', message, { cause });
}

/** What another process is given of this one's writer: its units join the groups, its turns the queue. */
export class WriterDesk implements Desk {
  readonly #database: Database;
  readonly #guest: Guest;
  #turn: Turn | undefined;
  /** Who hears of a turn that is not over; undefined where nobody wants to any more. */
  #end: TurnEnd | undefined;
  #listener: Parameters<Desk['progress']>[0];

  constructor(database: Database) {
    this.#database = database;
    this.#guest = database.writer.groups.guests.join();
  }

  get line(): Line {
    return this.#database.writer.thread;
  }

  statement(sql: string) {
    return this.#database.statement(sql);
  }

  submit({ statements, isBatch, once }: GivenUnit, end: UnitEnd): () => void {
    const { writer, refusal } = this.#database;
    if (refusal !== undefined) {
      end.error(ended(refusal));
      return () => {};
    }
    const [first] = statements as [UnitStatement];
    const batch = isBatch ? statements : undefined;
    const unit = new GuestUnit(this.#guest, first, batch, end, writer.now);
    unit.once = once;
    writer.groups.guests.add(unit);
    writer.gathered();
    return () => {
      if (writer.groups.guests.cancel(unit)) unit.drop();
      else writer.stop(unit);
    };
  }

  ask(kind: string, limit: number, end: TurnEnd): void {
    const { writer, refusal } = this.#database;
    if (refusal !== undefined) return end.taken(ended(refusal));
    this.#end = end;
    const taken = (error: unknown) => {
      const heard = this.#end;
      this.#end = undefined;
      this.#turn = undefined;
      heard?.taken(error as Error);
    };
    this.#turn = writer.acquire({
      kind: kind as TurnKind,
      guest: this.#guest,
      // What follows it is not here yet when it is granted: nobody may wait for that.
      shares: false,
      // Whoever asks knows how long it will wait.
      acquireTimeout: 0,
      limit,
      opener: undefined,
      granted: () => this.#end?.granted(),
      refused: taken,
      expired: (_turn, error) => taken(error),
      revoked: (error) => taken(ended(error)),
      lost: taken,
    });
  }

  giveUp(): void {
    const turn = this.#turn;
    this.#turn = undefined;
    this.#end = undefined;
    if (turn !== undefined) this.#database.writer.giveUp(turn);
  }

  leave(): void {
    const turn = this.#turn;
    this.#turn = undefined;
    this.#end = undefined;
    if (turn !== undefined) this.#database.writer.leave(turn);
  }

  begin(command: Command & { type: 'begin' }, alone: boolean): void {
    this.#database.writer.begin(this.#held, command, alone);
  }

  send(command: Command): void {
    this.#database.writer.send(command);
  }

  end(task: number, how: 'commit' | 'rollback', leave: boolean): void {
    const turn = this.#held;
    if (leave) {
      this.#turn = undefined;
      this.#end = undefined;
    }
    this.#database.writer.end(turn, task, how, leave);
  }

  progress(listener: Parameters<Desk['progress']>[0]): void {
    const { writer } = this.#database;
    // The next bulk may be another's already.
    if (listener === undefined && writer.onProgress !== this.#listener) return;
    this.#listener = listener;
    writer.onProgress = listener;
  }

  listen(rowids: number, changed: (text: string) => void, ready: () => void): () => void {
    const listening = this.#database.changes.listen({ rowids, changed });
    void listening.ready.then(ready);
    return () => listening.stop();
  }

  part(): void {
    this.#database.writer.groups.guests.part(this.#guest);
  }

  get #held(): Turn {
    if (this.#turn === undefined) throw new PoolError('POOL_MISUSE', 'there is no turn');
    return this.#turn;
  }
}
