import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { randomFrom } from '../support/random.ts';
import { PARTS } from './entries.ts';
import { type Stored, storedIn } from './kill.ts';
import { Report, type Tries } from './report.ts';

const { EIO, ENOSPC } = constants.errno;

const program = fileURLToPath(new URL('./faulty.ts', import.meta.url));

/** https://blitiri.com.ar/p/libfiu: its names of what may fail, and how. */
interface Failing {
  points: readonly { name: string; errno?: number }[];
  /** The first is one at which it is met for certain. */
  rates: readonly number[];
}

const ALL_RATES = [0.5, 1, 0.02, 0.1];

const FAILING: Readonly<Record<string, Failing>> = {
  sync: {
    points: ['fsync', 'fdatasync'].map((name) => ({ name: `posix/io/sync/${name}`, errno: EIO })),
    rates: ALL_RATES,
  },
  'write EIO': { points: [{ name: 'posix/io/rw/pwrite', errno: EIO }], rates: ALL_RATES },
  'write ENOSPC': { points: [{ name: 'posix/io/rw/pwrite', errno: ENOSPC }], rates: ALL_RATES },
  'short write': { points: [{ name: 'posix/io/rw/pwrite/reduce' }], rates: [1, 0.5] },
  'short write, then EIO': {
    points: [{ name: 'posix/io/rw/pwrite/reduce' }, { name: 'posix/io/rw/pwrite', errno: EIO }],
    rates: [0.5, 0.1],
  },
  read: { points: [{ name: 'posix/io/rw/pread', errno: EIO }], rates: ALL_RATES },
};

/** How much more is waited for in each state of the disk, in bytes: about 400 answers. */
const ENOUGH = 10_000;
/** So many last answers are to what was asked when the disk worked again. */
const SETTLED = 100;

/** How SQLite says that the disk failed. Whatever hears so is not stored. */
const REFUSED = /^SQLITE_(IOERR|FULL)/;
/** What it makes of a medium that cannot be read (EIO), while that lasts: SQLITE_IOERR_CORRUPTFS. */
const UNREADABLE = 'SQLITE_CORRUPT';
const UNKNOWN = 'POOL_OUTCOME_UNKNOWN';

/** Why there is no libfiu here. */
function missing(): string | undefined {
  const { error } = spawnSync('fiu-ctrl', ['-h']);
  return error === undefined ? undefined : `no libfiu (Debian: fiu-utils): ${error.message}`;
}

interface Line {
  caller: string;
  number: number;
  outcome: string;
}

/** The program under libfiu. */
class Faulty {
  readonly #process;
  readonly #closed: Promise<unknown[]>;
  readonly #output: string;
  readonly #control: string;
  #complaint = '';

  constructor(file: string, options: object) {
    this.#output = `${file}.said`;
    this.#control = `${file}.fiu`;
    const fd = openSync(this.#output, 'w');
    const node = [process.execPath, '--experimental-strip-types', '--no-warnings', program];
    const args = ['-x', '-f', this.#control, ...node, file, JSON.stringify(options)];
    this.#process = spawn('fiu-run', args, { stdio: ['pipe', fd, 'pipe'] });
    closeSync(fd);
    this.#process.stderr?.on('data', (data) => {
      this.#complaint += data;
    });
    this.#closed = once(this.#process, 'close');
  }

  /** Until so many bytes more than these are said; each line has about twenty. */
  async hasSaid(bytes: number): Promise<void> {
    while (this.said < bytes) {
      const { exitCode, signalCode } = this.#process;
      if (exitCode !== null || signalCode !== null) {
        throw new Error(`it ended with ${exitCode ?? signalCode}: ${this.#complaint}`);
      }
      await delay(2);
    }
  }

  get said(): number {
    return statSync(this.#output).size;
  }

  lines(): Line[] {
    const lines = readFileSync(this.#output, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => {
      const [caller = '', number, outcome = ''] = line.split(' ');
      return { caller, number: Number(number), outcome };
    });
  }

  set(points: Failing['points'], rate: number): void {
    const commands = points.flatMap(({ name, errno }) => {
      const how = errno === undefined ? '' : `,failinfo=${errno}`;
      const rated =
        rate === 0
          ? `disable name=${name}`
          : `enable_random name=${name},probability=${rate}${how}`;
      return ['-c', rated];
    });
    const args = ['-f', this.#control, ...commands, String(this.#process.pid)];
    const { status, stderr } = spawnSync('fiu-ctrl', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`fiu-ctrl: ${stderr}`);
  }

  /** What its threads, all but the one that says what it heard, have written, and by how many calls. */
  written(): Written {
    const written = { bytes: 0, calls: 0 };
    const folder = `/proc/${this.#process.pid}/task`;
    for (const task of readdirSync(folder)) {
      if (task === String(this.#process.pid)) continue;
      const io = readFileSync(join(folder, task, 'io'), 'utf8');
      written.bytes += Number(/^wchar: (\d+)/m.exec(io)?.[1]);
      written.calls += Number(/^syscw: (\d+)/m.exec(io)?.[1]);
    }
    return written;
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#process.kill(signal);
    const [code, by] = await this.#closed;
    if (code !== 0 && by !== 'SIGKILL') throw new Error(`ended with ${code}: ${this.#complaint}`);
  }
}

const ENDS = ['killed while it fails', 'killed later', 'closed while it fails', 'closed later'];

interface Try {
  what: string;
  rate: number;
  synchronous: 'normal' | 'full';
  end: string;
}

/**
 * Writing, syncing or reading fails at some rate, under the real library: what was acknowledged is
 * stored; what was refused is not, also after a crash, unless it was said that nobody knows; and when
 * the disk works again, so does the pool.
 */
export async function ioFaults({ rounds, seed }: Tries): Promise<Report> {
  const report = new Report();
  report.skipped = missing();
  if (report.skipped !== undefined) return report;
  const random = randomFrom(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const kinds = Object.entries(FAILING);
  for (let round = 0; round < rounds; round++) {
    const [what, { rates }] = kinds[round % kinds.length] as (typeof kinds)[number];
    // With 'normal' nothing is synced but by checkpoints, of which no caller hears.
    const isHeard = what === 'sync' && round < kinds.length;
    const synchronous = isHeard ? 'full' : pick(['full', 'normal'] as const);
    const rate = rates[Math.floor(round / kinds.length) % rates.length] as number;
    await tryOne({ what, rate, synchronous, end: pick(ENDS) }, report);
    report.count('rounds');
  }
  report.fired(...kinds.slice(0, rounds).map(([what]) => `fired: ${what}`));
  report.fired('stored', 'read');
  return report;
}

async function tryOne({ what, rate, synchronous, end }: Try, report: Report): Promise<void> {
  const { points } = FAILING[what] as Failing;
  const name = `${what} at ${rate}, ${synchronous}, ${end}`;
  const folder = mkdtempSync(join(tmpdir(), 'poolite-io-'));
  const file = join(folder, 'io.db');
  const faulty = new Faulty(file, { synchronous, checkpoint: { walPages: 60 } });
  try {
    await faulty.hasSaid(ENOUGH);
    const calm = faulty.written();
    faulty.set(points, rate);
    const failing = faulty.written();
    await faulty.hasSaid(faulty.said + ENOUGH);
    const isShorter =
      perCall(failing, faulty.written()) < 0.6 * perCall({ bytes: 0, calls: 0 }, calm);
    if (end.endsWith('later')) {
      faulty.set(points, 0);
      await faulty.hasSaid(faulty.said + ENOUGH);
      for (const { caller, outcome } of faulty.lines().slice(-SETTLED)) {
        report.expect(outcome === 'stored', () => `${name}: ${caller} ${outcome}, on a sound disk`);
      }
      report.count('recovered');
    }
    await faulty.end(end.startsWith('killed') ? 'SIGKILL' : 'SIGTERM');
    report.count(end);
    const hasFailed = faulty.lines().some(({ outcome }) => outcome !== 'stored');
    if (what === 'short write' ? isShorter : hasFailed) report.count(`fired: ${what}`);
    compare(faulty.lines(), storedIn(file, report), name, report);
  } finally {
    await faulty.end('SIGKILL').catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Written {
  bytes: number;
  calls: number;
}

function perCall(from: Written, to: Written): number {
  return (to.bytes - from.bytes) / (to.calls - from.calls);
}

function compare(lines: readonly Line[], stored: Stored, name: string, report: Report): void {
  for (const { caller, number, outcome } of lines) {
    const parts = PARTS[caller.split('-')[0] as string];
    if (parts === undefined) {
      // To read, or to close.
      report.count(outcome === 'stored' ? caller : `${caller}: ${outcome}`);
      const isExpected =
        outcome === 'stored' ||
        REFUSED.test(outcome) ||
        (outcome === UNREADABLE && name.startsWith('read'));
      report.expect(isExpected, () => `${name}: ${caller} ${outcome}`);
      continue;
    }
    report.count(outcome);
    const there = stored.get(caller)?.get(number)?.length ?? 0;
    const isRight =
      outcome === 'stored'
        ? there === parts
        : outcome === UNKNOWN
          ? there === 0 || there === parts
          : REFUSED.test(outcome) && there === 0;
    report.expect(
      isRight,
      () => `${name}: ${caller} ${number} heard ${outcome}, ${there} of ${parts} are stored`,
    );
    if (outcome === UNKNOWN && there > 0) report.count('nobody knew, and it is stored');
  }
  // What was not answered, too: all or nothing.
  for (const [caller, numbers] of stored) {
    const parts = PARTS[caller.split('-')[0] as string];
    for (const [number, all] of numbers) {
      report.expect(
        all.length === parts,
        () => `${name}: ${caller} ${number}, ${all.length} of ${parts} are stored`,
      );
    }
  }
}
