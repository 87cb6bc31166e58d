import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type Transferable,
} from 'node:worker_threads';
import { failureOf } from './rows.js';

/** The end of the one who asks, on its way to a thread. */
export interface QuestionsData {
  port: MessagePort;
  /** Raised with every answer. */
  word: Int32Array;
}

type Reply = { value: unknown } | { failure: { name: string; message: string; code?: string } };

/** Answers the questions of a thread, which waits for each. */
export class Answering {
  /** What the thread is given; its port must be transferred. */
  readonly data: QuestionsData;

  constructor(answer: (question: unknown) => Promise<unknown>) {
    const { port1, port2 } = new MessageChannel();
    const word = new Int32Array(new SharedArrayBuffer(4));
    this.data = { port: port2, word };
    const reply = (message: Reply) => {
      port1.postMessage(message);
      Atomics.add(word, 0, 1);
      Atomics.notify(word, 0);
    };
    port1.on('message', (question) => {
      answer(question).then(
        (value) => reply({ value }),
        (error) => reply({ failure: failureOf(error) }),
      );
    });
    // Who waits for the thread keeps the process alive. The port closes with the thread.
    port1.unref();
  }
}

/** Asks the calling thread, and sleeps until it has answered. */
export function ask(
  { port, word }: QuestionsData,
  question: unknown,
  transfer: readonly Transferable[] = [],
): unknown {
  let seen = Atomics.load(word, 0);
  port.postMessage(question, transfer);
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) {
      Atomics.wait(word, 0, seen);
      seen = Atomics.load(word, 0);
      continue;
    }
    const reply = received.message as Reply;
    if ('value' in reply) return reply.value;
    throw Object.assign(new Error(reply.failure.message), reply.failure);
  }
}
