import { workerData } from 'node:worker_threads';
import { loadSetup } from './connection.js';
import { loadGate } from './gate.js';
import { Direction, Receiver, Sender } from './mailbox.js';
import { Outbox } from './outbox.js';
import { type Command, Control, type ThreadData } from './protocol.js';
import { ReaderThread } from './reader-thread.js';
import { failureOf, ResultEncoder } from './rows.js';
import { UpkeepThread } from './upkeep-thread.js';
import { WordWaiter } from './waiter.js';
import { WriterThread } from './writer-thread.js';

/**
 * How long, in ms, an idle thread sleeps on its word in shared memory before it goes back to its
 * event loop. Waking there costs several times more, but what a `setup` module started (timers,
 * what it wrote to stdout) moves on only in the loop.
 */
const LINGER = 100;
/**
 * How long it looks at the word before it sleeps. What a lone caller of an ORM does between two
 * writes takes so long, the wake of the calling thread with it; a read waits for no commit. Nobody
 * waits for upkeep.
 */
const LONGEST_LOOK = { writer: 0.25, reader: 0.06, upkeep: 0 };

const data = workerData as ThreadData;
const { port, control, mailboxes } = data;
const sender = new Sender(port, control, Direction.answers, mailboxes.answers);
const receiver = new Receiver<Command>(port, control, Direction.commands, mailboxes.commands);
const outbox = new Outbox(sender, control, new ResultEncoder(data.connection.integers === 'auto'));

try {
  const setup = await loadSetup(data.connection.setup);
  const Program = { writer: WriterThread, reader: ReaderThread, upkeep: UpkeepThread }[data.role];
  const openGate = await loadGate(data.gate);
  const thread = new Program(data, setup, outbox, openGate);
  const handle = (commands: Command[]): boolean => {
    for (const command of commands) {
      if (command.type === 'open') {
        try {
          thread.handle(command);
        } catch (error) {
          outbox.push({ type: 'failed', failure: failureOf(error) });
        }
      } else {
        thread.handle(command);
        if (command.type === 'close') {
          outbox.flush();
          port.close();
          return false;
        }
      }
    }
    outbox.flush();
    return true;
  };
  const longestLook = LONGEST_LOOK[data.role];
  const waiter = new WordWaiter(control, Control.wake, Control.sleeping, longestLook);
  port.on('message', (commands: Command[]) => {
    receiver.arrived(commands);
    receiver.wake();
    for (let open = true; open; ) {
      const seen = Atomics.load(control, Control.wake);
      const next = receiver.next();
      if (next !== undefined) open = handle(next);
      else if (!waiter.wait(seen, LINGER)) {
        if (receiver.rest()) break;
        receiver.wake();
      }
    }
  });
} catch (error) {
  outbox.push({ type: 'failed', failure: failureOf(error) });
  outbox.flush();
}
