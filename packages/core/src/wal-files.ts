import { statSync } from 'node:fs';

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

/** The WAL files of a database, and of those that its connections attach. */
export class WalFiles {
  readonly #file: string;
  /** Files that every connection attaches, as the writer's found them. */
  attached: readonly string[] = [];

  constructor(file: string) {
    this.#file = `${file}-wal`;
  }

  /** The size of the database's own, in bytes; 0 where there is none. */
  bytes(): number {
    return sizeOf(this.#file);
  }

  /** The size of the largest, in bytes. */
  largest(): number {
    let most = this.bytes();
    for (const file of this.attached) most = Math.max(most, sizeOf(`${file}-wal`));
    return most;
  }
}
