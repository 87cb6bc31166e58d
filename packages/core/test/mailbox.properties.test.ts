import { randomInt } from 'node:crypto';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Direction, newMailbox, Receiver, Sender } from '../src/threads/mailbox.js';
import { type Command, Control } from '../src/threads/protocol.js';

const seed = Number(process.env.MAILBOX_SEED ?? randomInt(2 ** 31));
console.log(`the seed of the mailbox's tests is ${seed}`);

/** Both ends in one thread: a port hands over there what was posted as soon as it is asked. */
function ends() {
  const { port1, port2 } = new MessageChannel();
  const control = new Int32Array(new SharedArrayBuffer(Control.words * 4));
  const mailbox = newMailbox();
  return {
    control,
    port1,
    port2,
    sender: new Sender(port1, control, Direction.commands, mailbox),
    receiver: new Receiver<Command>(port2, control, Direction.commands, mailbox),
    close: () => port1.close(),
  };
}

const execute = (task: number, ...words: unknown[]): Command[] => [
  { type: 'execute', task, session: 0, words: [1, 4, words.length, ...words] },
];

/** Texts with code units of any kind, halves of pairs among them. */
const text = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));
const value = fc.oneof(
  fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE, 2 ** 53),
  fc.double(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constant(null),
  fc.boolean(),
  text,
  fc.uint8Array({ maxLength: 20 }),
  fc.integer({ min: 1, max: 9000 }).map((length) => '€'.repeat(length)),
  fc.dictionary(text, fc.oneof(fc.double(), text)),
);

test('whatever is sent arrives as it was', () => {
  const { sender, receiver, close } = ends();
  receiver.wake();
  fc.assert(
    fc.property(fc.array(value, { maxLength: 8 }), (words) => {
      const sent = execute(7, ...words);
      sender.send(sent);
      expect(receiver.next()).toStrictEqual(structuredClone(sent));
      expect(receiver.next()).toBeUndefined();
    }),
    { seed, numRuns: 2000 },
  );
  close();
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant('small' as const) },
  { weight: 1, arbitrary: fc.constant('large' as const) },
  { weight: 1, arbitrary: fc.constant('moved' as const) },
  { weight: 4, arbitrary: fc.constant('next' as const) },
  { weight: 1, arbitrary: fc.constant('rest' as const) },
  { weight: 1, arbitrary: fc.constant('wake' as const) },
);

test('messages arrive in the order in which they were sent, whatever way they take', () => {
  let byMailbox = 0;
  let byPort = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { control, sender, receiver, close } = ends();
      const sent: number[] = [];
      const got: number[] = [];
      const look = () => {
        const messages = receiver.next();
        for (const message of messages ?? []) got.push((message as { task: number }).task);
        return messages !== undefined;
      };
      for (const each of steps) {
        const task = sent.length + 1;
        if (each === 'next') look();
        else if (each === 'wake') receiver.wake();
        else if (each === 'rest') {
          // Who finds the mailbox full looks first, and rests then.
          while (!receiver.rest()) look();
        } else {
          sent.push(task);
          const before = Atomics.load(control, Control.commandBytes);
          if (each === 'small') sender.send(execute(task, 'a text'));
          else if (each === 'large') sender.send(execute(task, 'x'.repeat(20_000)));
          else {
            const { buffer } = new Uint8Array(8);
            sender.send(execute(task, new Uint8Array(buffer)), [buffer]);
          }
          if (before === 0 && Atomics.load(control, Control.commandBytes) > 0) byMailbox++;
          else byPort++;
        }
      }
      while (look());
      expect(got).toEqual(sent);
      close();
    }),
    { seed, numRuns: 1500 },
  );
  expect(byMailbox).toBeGreaterThan(0);
  expect(byPort).toBeGreaterThan(0);
});

test('a message that meets a receiver on its way to its event loop is told of over the port', async () => {
  const { control, sender, receiver, port2, close } = ends();
  const events: Command[][] = [];
  const event = new Promise<void>((resolve) => {
    port2.on('message', (commands: Command[]) => {
      events.push(commands);
      receiver.arrived(commands);
      resolve();
    });
  });
  receiver.wake();
  // The receiver says that it rests after the sender has seen it awake, and before it looks again.
  const { load } = Atomics;
  let looks = 0;
  Atomics.load = ((words: Int32Array, index: number) => {
    const seen = load(words, index);
    if (index === Control.threadAwake && ++looks === 1) Atomics.store(control, index, 0);
    return seen;
  }) as typeof Atomics.load;
  try {
    sender.send(execute(1, 'a text'));
  } finally {
    Atomics.load = load;
  }
  await event;
  expect(events).toEqual([[]]);
  expect(receiver.next()).toEqual(execute(1, 'a text'));
  expect(receiver.next()).toEqual([]);
  close();
});
