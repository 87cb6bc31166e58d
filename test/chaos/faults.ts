import { STORE_FAULTS } from '../store/faults.ts';
import { diskFull } from './disk-full.ts';
import { history, sharedHistory } from './history.ts';
import { ioFaults } from './io-faults.ts';
import { kill } from './kill.ts';
import { model } from './model.ts';
import { Report, type Tries } from './report.ts';
import { sharedWriter } from './shared-writer.ts';
import { soak } from './soak.ts';
import { tornWal } from './torn-wal.ts';

/** A way to do harm, and the check of what comes of it. */
export interface Fault {
  /** What a round is. */
  readonly round: string;
  /** How many rounds its long form has. */
  readonly rounds: number;
  run(tries: Tries): Promise<Report>;
}

/** Once with each setting of `synchronous`, half of the rounds each. */
async function both(
  fault: (synchronous: 'normal' | 'full', tries: Tries) => Promise<Report>,
  { rounds, seed }: Tries,
): Promise<Report> {
  const report = new Report();
  for (const synchronous of ['full', 'normal'] as const) {
    const half = await fault(synchronous, { rounds: Math.ceil(rounds / 2), seed });
    report.skipped = half.skipped;
    report.add(half, `${synchronous}: `);
  }
  return report;
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  kill: { round: 'kill', rounds: 1000, run: (tries) => both(kill, tries) },
  'shared-writer': { round: 'blow', rounds: 500, run: (tries) => sharedWriter(4, tries) },
  'disk-full': { round: 'full disk', rounds: 100, run: (tries) => both(diskFull, tries) },
  'io-faults': { round: 'failing disk', rounds: 240, run: ioFaults },
  'torn-wal': { round: 'database', rounds: 50, run: tornWal },
  history: { round: 'history', rounds: 100, run: history },
  'shared-history': {
    ...{ round: 'history of four processes', rounds: 30 },
    run: (tries) => sharedHistory(4, tries),
  },
  model: { round: 'mix of commands', rounds: 500, run: model },
  ...STORE_FAULTS,
  soak: { round: 'minute', rounds: 10, run: soak },
};
