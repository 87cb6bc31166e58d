import { runCheckpoint } from './checkpoint.js';
import { Connection, type Setup } from './connection.js';
import type { Outbox } from './outbox.js';
import type { Command, ThreadData } from './protocol.js';

/** What the upkeep thread does: checkpoints, on a connection of its own, beside the writer. */
export class UpkeepThread {
  readonly #data: ThreadData;
  readonly #setup: Setup | undefined;
  readonly #outbox: Outbox;
  #connection: Connection | undefined;

  constructor(data: ThreadData, setup: Setup | undefined, outbox: Outbox) {
    this.#data = data;
    this.#setup = setup;
    this.#outbox = outbox;
  }

  handle(command: Command): void {
    switch (command.type) {
      case 'open':
        return this.#open();
      case 'checkpoint':
        return this.#checkpoint(command);
      case 'close':
        this.#connection?.close();
        return this.#outbox.done(command.task, false);
      case 'define':
      case 'forget':
      case 'reads':
      case 'group':
      case 'begin':
      case 'end':
      case 'ahead':
      case 'settle':
      case 'execute':
      case 'exec':
      case 'session':
      case 'leave':
      case 'cursor':
      case 'fetch':
      case 'drop':
      case 'bulk':
      case 'rows':
      case 'bulk-end':
      case 'feed':
      case 'gate':
      case 'look':
      case 'turn':
      case 'withdraw':
        throw new Error(`the upkeep thread was sent '${command.type}'`);
      default:
        return command satisfies never;
    }
  }

  #open(): void {
    const { connection: options } = this.#data;
    const connection = new Connection(options, 'write', options.busyTimeout);
    try {
      connection.configure(this.#setup);
      connection.pragma('busy_timeout = 0');
      connection.pragma('wal_autocheckpoint = 0');
    } catch (error) {
      connection.close();
      throw error;
    }
    this.#connection = connection;
    const { sqliteVersion } = connection;
    this.#outbox.push({
      type: 'opened',
      info: { sqliteVersion, journalMode: 'wal', attached: [], noHooks: '-' },
    });
  }

  #checkpoint(command: Command & { type: 'checkpoint' }): void {
    try {
      if (this.#connection === undefined) throw new Error('the upkeep thread is not open');
      const outcome = runCheckpoint(this.#connection, command);
      this.#outbox.push({ type: 'checkpoint', task: command.task, ...outcome });
    } catch (error) {
      this.#outbox.done(command.task, false, error);
    }
  }
}
