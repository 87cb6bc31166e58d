import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { sizeOf } from './database-file.js';
import type { InspectorAnswer, InspectorData, InspectorQuestion } from './inspector-thread.js';

/** An error of SQLite's, as the thread told it. */
class InspectorError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = 'SqliteError';
    this.code = code;
  }
}

/**
 * One plain connection to a database file, without a pool: no setting of the file changes, and with
 * `'read'` nothing does. It is on a thread, so that the terminal stays alive; Ctrl-C ends the
 * process, whatever runs.
 */
export class Inspector {
  readonly #worker: Worker;

  /** @param file an absolute path */
  constructor(file: string, access: 'read' | 'write') {
    const workerData: InspectorData = { file, access };
    this.#worker = new Worker(new URL('./inspector-thread.js', import.meta.url), { workerData });
  }

  /** The rows of a statement. Questions are asked one after the other. */
  async all<Row>(sql: string): Promise<Row[]> {
    const answer = await this.#ask({ sql });
    if (answer === 'closed') throw new Error('the inspector is closed');
    if ('rows' in answer) return answer.rows as Row[];
    throw new InspectorError(answer.failure.message, answer.failure.code);
  }

  async close(): Promise<void> {
    await this.#ask('close');
    await this.#worker.terminate();
  }

  async #ask(question: InspectorQuestion): Promise<InspectorAnswer> {
    const answered = once(this.#worker, 'message');
    this.#worker.postMessage(question);
    const [answer] = (await answered) as [InspectorAnswer];
    return answer;
  }
}

/**
 * Removes the empty -wal, and the -shm, that connections which only read have left, by one that may
 * write: as the last to close it does so, and writes nothing else. Nothing is done where somebody
 * else has written meanwhile.
 */
export async function tidy(file: string): Promise<void> {
  if (sizeOf(`${file}-wal`) !== 0) return;
  try {
    await inspect(file, (inspector) => inspector.all('PRAGMA schema_version'), 'write');
  } catch (error) {
    // The file may not be written, or somebody else is busy with it: then the two files stay.
    if (!(error instanceof InspectorError)) throw error;
  }
}

/** Does work with an inspector of a file, by its absolute path, and closes it. */
export async function inspect<T>(
  file: string,
  work: (inspector: Inspector) => Promise<T>,
  access: 'read' | 'write' = 'read',
): Promise<T> {
  const inspector = new Inspector(file, access);
  try {
    return await work(inspector);
  } finally {
    await inspector.close();
  }
}
