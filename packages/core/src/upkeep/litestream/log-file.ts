import { closeSync, ftruncateSync, mkdtempSync, openSync, read, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHUNK = 64 * 1024;

/**
 * What a child writes to its stderr, in a file without a name. A pipe would break with this
 * process, and a Go program that writes to a broken stderr is killed by it: Litestream would not
 * come to its last sync. https://pkg.go.dev/os/signal#hdr-SIGPIPE
 */
export class LogFile {
  /** To be given to the child. It appends, so that the file can be emptied under it. */
  readonly fd: number;
  readonly #buffer = Buffer.allocUnsafe(CHUNK);
  #at = 0;
  #rest = '';

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'poolite-log-'));
    this.fd = openSync(join(folder, 'log'), 'a+', 0o600);
    rmSync(folder, { recursive: true });
  }

  /** The lines that have come since the last call. */
  async lines(): Promise<string[]> {
    const lines: string[] = [];
    for (let bytes = await this.#read(); bytes > 0; bytes = await this.#read()) {
      const all = (this.#rest + this.#buffer.toString('utf8', 0, bytes)).split('\n');
      this.#rest = all.pop() as string;
      lines.push(...all.filter((line) => line !== ''));
      this.#at += bytes;
    }
    // What was read is not kept. A line that comes at this very moment is not worth a lock.
    if (this.#at >= CHUNK) {
      ftruncateSync(this.fd, 0);
      this.#at = 0;
    }
    return lines;
  }

  close(): void {
    closeSync(this.fd);
  }

  #read(): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.fd, this.#buffer, 0, CHUNK, this.#at, (error, bytes) => {
        if (error === null) resolve(bytes);
        else reject(error);
      });
    });
  }
}
