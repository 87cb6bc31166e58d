import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const SOURCE = `import { createPool } from '@poolite/core';
  const [, file, statsSocket] = process.argv;
  const pool = createPool(file, { statsSocket: statsSocket ?? true });
  await pool.exec('CREATE TABLE IF NOT EXISTS work (id INTEGER PRIMARY KEY, text TEXT)');
  await pool.ready();
  let going = true;
  process.on('message', () => { going = false; });
  process.send('up');
  const work = async () => {
    while (going) {
      await pool.run('INSERT INTO work (text) VALUES (?)', ['some text']);
      await pool.get('SELECT count(*) FROM work WHERE id = ?', [1]);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  await Promise.all([work(), work(), work()]);
  await pool.close();
  process.disconnect();`;

/** Another process whose pool reads and writes all the time. */
export class PoolChild {
  readonly process: ChildProcess;

  private constructor(args: readonly string[]) {
    this.process = spawn(process.execPath, ['--input-type=module', '-e', SOURCE, '--', ...args], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    onTestFinished(() => {
      this.process.kill('SIGKILL');
    });
  }

  static async start(file: string, statsSocket?: string): Promise<PoolChild> {
    const child = new PoolChild(statsSocket === undefined ? [file] : [file, statsSocket]);
    await once(child.process, 'message');
    return child;
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** Ends its work, and closes its pool. */
  async stop(): Promise<void> {
    this.process.send('stop');
    await once(this.process, 'exit');
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }
}
