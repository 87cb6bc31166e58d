import type { Deadline } from '../deadlines.js';
import { PoolError } from '../errors.js';
import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import type { Method } from '../threads/protocol.js';
import type { FirstResult } from './ahead.js';
import type { Guest } from './guest-units.js';

/** What a turn on the writer is for: it says so in messages. */
export type TurnKind = 'transaction' | 'lease' | 'script' | 'bulk' | 'checkpoint' | 'pull';

/** A statement that waits for the writer, to be the first of a transaction. */
export interface FirstCall {
  readonly statement: Statement;
  readonly method: Method;
  readonly params: BoundParams;
}

export interface TurnRequest {
  readonly kind: TurnKind;
  /** The process that asks; undefined for this one. */
  readonly guest?: Guest;
  /** Whether it may begin behind transactions whose commit is still to come. */
  readonly shares: boolean;
  /** How long it may wait, in ms. */
  readonly acquireTimeout: number;
  /** How long it may last, in ms; 0 for no limit. */
  readonly limit: number;
  /** Tells who holds the writer, by a stack as a rule. */
  readonly opener: (() => Error) | undefined;
  /** What it will begin with, where that is known before its turn comes. */
  first?(): FirstCall | undefined;
  /**
   * It has the writer: what it sends in this tick travels at once. With a result, its transaction has
   * begun, and run its first call.
   */
  granted(turn: Turn, first?: FirstResult): void;
  /** It will not get the writer. */
  refused(error: unknown): void;
  /** It lasted too long: the writer has been taken away, and its work is being rolled back. */
  expired(turn: Turn, error: Error): void;
  /** The writer has been taken away, since the pool closes. */
  revoked(error: Error): void;
  /** The thread died under it. */
  lost(error: Error): void;
}

/** One holder's time on the writer. */
export class Turn {
  readonly request: TurnRequest;
  deadline: Deadline | undefined;
  /** Since when it has the writer, in ms; 0 while it waits. */
  since = 0;
  /** When its transaction began, in ms; 0 while none is open. */
  begunAt = 0;
  over = false;
  /** How many commands it has sent, but for its ends. */
  sent = 0;
  /** The last one-shot write that was issued before it. */
  readonly after: number;

  constructor(request: TurnRequest, after: number) {
    this.request = request;
    this.after = after;
  }

  /**
   * Whether it is one write to its caller, as a one-shot is: then they keep their order. Another
   * process has seen to that itself before it asked.
   */
  get isOneWrite(): boolean {
    const { kind, guest } = this.request;
    return guest === undefined && (kind === 'script' || kind === 'bulk');
  }
}

/** What the holder of a turn hears that lasted too long. */
export function expiryError({ limit, kind, opener }: TurnRequest): PoolError {
  return new PoolError(
    'POOL_TIMEOUT',
    `a ${kind} held the writer longer than transactionTimeout (${limit} ms) and was rolled back`,
    { cause: opener?.() },
  );
}

/** The process that granted a turn has taken it back: its holder hears why. */
export function takenBack(turn: Turn, error: Error): void {
  turn.begunAt = 0;
  if (PoolError.is(error) && error.code === 'POOL_TIMEOUT') turn.request.expired(turn, error);
  else turn.request.lost(error);
}
