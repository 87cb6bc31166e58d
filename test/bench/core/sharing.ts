import { join } from 'node:path';
import { createPool, type PoolOptions } from '@poolite/core';
import { type CrowdReport, crowd, type How } from '../../sharing/crowd.ts';
import { type Contender, median, perSecond, type Scenario } from '../harness.ts';

const ROUND = 700;
const CROWD_ROUND = 4000;
const INSERT = 'INSERT INTO entry (who, text) VALUES (?, ?)';

/** Eight processes on one file, each with a connection or a pool. */
function processes(folder: string, name: string, how: How): Contender {
  const reports: CrowdReport[] = [];
  return {
    name,
    round: async () => {
      const report = await crowd(join(folder, `${how}.db`), {
        ...{ processes: 8, callers: 16, ms: CROWD_ROUND, how },
      });
      reports.push(report);
      return report.perSecond;
    },
    close: () => {
      const of = (value: (report: CrowdReport) => number) => reports.map(value);
      const failed = of(({ errors }) => Object.values(errors).reduce((sum, n) => sum + n, 0));
      const lost = of(({ acknowledged, stored }) => acknowledged - stored);
      console.log(
        `  ${name}: slowest process to fastest ${median(of(({ evenness }) => evenness)).toFixed(2)}, ` +
          `worst wait ${Math.round(Math.max(...of(({ worst }) => worst)))} ms, ` +
          `errors ${failed.reduce((sum, n) => sum + n, 0)}, ` +
          `acknowledged and not stored ${lost.reduce((sum, n) => sum + n, 0)}`,
      );
    },
  };
}

async function alone(
  folder: string,
  writer: NonNullable<PoolOptions['writer']> & string,
  callers: number,
  synchronous: 'normal' | 'full',
): Promise<Contender> {
  const pool = createPool(join(folder, `${writer}.db`), { writer, synchronous });
  await pool.exec('CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, who TEXT, text TEXT)');
  return {
    name: `writer: '${writer}'`,
    round: () => perSecond(callers, ROUND, () => pool.run(INSERT, ['somebody', 'some text'])),
    close: () => pool.close(),
  };
}

function oneProcess(callers: number, synchronous: 'normal' | 'full'): Scenario {
  return {
    name: `sharing: one process, ${callers} ${callers === 1 ? 'caller' : 'callers'}, synchronous ${synchronous}`,
    unit: 'inserts/s',
    rounds: 9,
    contenders: async (folder) => [
      await alone(folder, 'own', callers, synchronous),
      await alone(folder, 'shared', callers, synchronous),
    ],
    wanted: { "writer: 'shared'": { ratio: 0.85 } },
  };
}

/** Many processes that write to one file, and what it costs one that is alone. */
export const sharing: readonly Scenario[] = [
  {
    name: 'sharing: eight processes, synchronous full',
    unit: 'inserts/s',
    rounds: 3,
    long: true,
    contenders: async (folder) => [
      processes(folder, 'better-sqlite3, busy timeout', 'plain'),
      processes(folder, "pools, writer: 'own', 16 callers", 'own'),
      processes(folder, "pools, writer: 'shared', 16 callers", 'shared'),
    ],
    wanted: { "pools, writer: 'shared', 16 callers": { ratio: 10 } },
  },
  ...[1, 64].flatMap((callers) => [oneProcess(callers, 'normal'), oneProcess(callers, 'full')]),
];
