import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type Answer, type Command, Control, type Words } from './protocol.js';

/**
 * Small messages between two threads, which go through shared memory: as one text there, they cost
 * half of what a `MessagePort` takes for them (12 us there and back became 6). A mailbox holds one
 * message. What does not fit, or finds it full, or meets a receiver that sleeps in its event loop,
 * takes the port; whatever way they go, messages arrive in the order in which they were sent.
 */

/** Bytes of one mailbox. */
const SIZE = 16 * 1024;
/** A character takes three bytes at most: half of a pair, which takes four, is a character, too. */
const LONGEST = Math.floor(SIZE / 3);
/** V8 clones a longer list as fast as it writes it down. */
const MOST_WORDS = 512;

/** The words of shared memory that belong to one direction. */
export const Direction = {
  commands: {
    bytes: Control.commandBytes,
    taken: Control.commandsTaken,
    awake: Control.threadAwake,
  },
  answers: { bytes: Control.answerBytes, taken: Control.answersTaken, awake: Control.callerAwake },
} as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

type Message = Command | Answer;

/** Commands and answers that are made of numbers and texts, but for their words. */
const SMALL: ReadonlySet<Message['type']> = new Set<Message['type']>([
  ...(['define', 'forget', 'reads', 'group', 'begin', 'end', 'ahead'] as const),
  ...(['settle', 'execute'] as const),
  ...(['session', 'leave', 'cursor', 'fetch', 'drop'] as const),
  ...(['shape', 'held', 'chunk', 'done', 'changed'] as const),
]);

/** What precedes a text in which a bigint is written as `[number]`: no word is a list otherwise. */
const WITH_BIGINTS = ' ';
const WITH_BIGINTS_BYTE = 0x20;

/** How words are written as JSON: as they are, with their bigints marked, or not at all. */
const As = { not: 0, marked: 1, theyAre: 2 } as const;
type As = (typeof As)[keyof typeof As];

/** How all of these values are the same once they were written as JSON and read. */
function howWritten(words: Words): As {
  if (words.length > MOST_WORDS) return As.not;
  let how: As = As.theyAre;
  let length = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    switch (typeof word) {
      case 'string':
        length += word.length;
        break;
      case 'number':
        // NaN and the infinite ones; and -0.
        if (word - word !== 0 || (word === 0 && 1 / word < 0)) return As.not;
        break;
      case 'boolean':
        break;
      case 'bigint':
        if (!Number.isSafeInteger(Number(word))) return As.not;
        how = As.marked;
        break;
      default:
        if (word !== null) return As.not;
    }
  }
  return length <= LONGEST ? how : As.not;
}

/** Messages as text, where they are small and JSON does not change them. */
function written(messages: readonly Message[]): string | undefined {
  let how: As = As.theyAre;
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i] as Message;
    if (!SMALL.has(message.type)) return undefined;
    if (!('words' in message)) continue;
    const those = howWritten(message.words);
    if (those === As.not) return undefined;
    if (those === As.marked) how = those;
  }
  if (how === As.theyAre) return JSON.stringify(messages);
  change(messages, marked);
  const text = WITH_BIGINTS + JSON.stringify(messages);
  change(messages, unmarked);
  return text;
}

/** In place: words belong to their message alone. */
function change(messages: readonly Message[], how: (word: unknown) => unknown): void {
  for (const message of messages) {
    if (!('words' in message)) continue;
    const { words } = message;
    for (let i = 0; i < words.length; i++) words[i] = how(words[i]);
  }
}

function marked(word: unknown): unknown {
  return typeof word === 'bigint' ? [Number(word)] : word;
}

function unmarked(word: unknown): unknown {
  return Array.isArray(word) ? BigInt(word[0] as number) : word;
}

/** Where the messages of one direction are put; both ends are given the same. */
export function newMailbox(): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(SIZE));
}

/** One end of a direction. */
abstract class End {
  protected readonly port: MessagePort;
  protected readonly control: Int32Array;
  protected readonly words: Direction;
  protected readonly mailbox: Buffer;

  constructor(port: MessagePort, control: Int32Array, words: Direction, mailbox: Uint8Array) {
    this.port = port;
    this.control = control;
    this.words = words;
    this.mailbox = Buffer.from(mailbox.buffer);
  }
}

/** The end that sends. */
export class Sender extends End {
  /** Messages that took the port. */
  #posted = 0;

  /** @param moved memory that is not copied, but moved to the other thread. */
  send(messages: readonly Message[], moved?: ArrayBuffer[]): void {
    if (moved !== undefined || !this.#put(messages)) return this.#post(messages, moved);
    // Who receives may have gone to its event loop meanwhile. It looks after it has said so: so
    // either it has seen the message, or what it said is seen here.
    if (Atomics.load(this.control, this.words.awake) === 0) this.#post([]);
  }

  #put(messages: readonly Message[]): boolean {
    const { control, words } = this;
    if (Atomics.load(control, words.awake) === 0 || Atomics.load(control, words.bytes) !== 0) {
      return false;
    }
    // What took the port and was not read yet was sent before.
    if (Atomics.load(control, words.taken) !== this.#posted) return false;
    const text = written(messages);
    if (text === undefined || text.length > LONGEST) return false;
    Atomics.store(control, words.bytes, this.mailbox.write(text));
    return true;
  }

  #post(messages: readonly Message[], moved?: ArrayBuffer[]): void {
    this.#posted = (this.#posted + 1) | 0;
    if (moved === undefined) this.port.postMessage(messages);
    else this.port.postMessage(messages, moved);
  }
}

/** The end that receives. */
export class Receiver<Received extends Message> extends End {
  /** What came over the port; a message in the mailbox is older. */
  #arrived: Received[] | undefined;

  /** The port's event has brought these: `next` gives them in their turn. */
  arrived(messages: Received[]): void {
    this.#arrived = messages;
  }

  /** The messages that were sent next, where they are there. */
  next(): Received[] | undefined {
    let messages = this.#take();
    if (messages !== undefined) return messages;
    if (this.#arrived === undefined) {
      const received = receiveMessageOnPort(this.port) as { message: Received[] } | undefined;
      if (received === undefined) return undefined;
      this.#arrived = received.message;
      // Whoever took the port may have filled the mailbox before.
      messages = this.#take();
      if (messages !== undefined) return messages;
    }
    messages = this.#arrived;
    this.#arrived = undefined;
    Atomics.add(this.control, this.words.taken, 1);
    return messages;
  }

  /** From now on the mailbox is looked at. */
  wake(): void {
    Atomics.store(this.control, this.words.awake, 1);
  }

  /** From now on only the port reaches this thread; false where the mailbox is full: look first. */
  rest(): boolean {
    Atomics.store(this.control, this.words.awake, 0);
    return Atomics.load(this.control, this.words.bytes) === 0;
  }

  #take(): Received[] | undefined {
    const bytes = Atomics.load(this.control, this.words.bytes);
    if (bytes === 0) return undefined;
    const messages = JSON.parse(this.mailbox.toString('utf8', 0, bytes)) as Received[];
    const isMarked = this.mailbox[0] === WITH_BIGINTS_BYTE;
    Atomics.store(this.control, this.words.bytes, 0);
    if (isMarked) change(messages, unmarked);
    return messages;
  }
}
