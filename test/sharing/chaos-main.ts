import { randomInt } from 'node:crypto';
import { chaos } from './chaos.ts';

const rounds = Number(process.env.CHAOS_ROUNDS ?? 200);
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));
const options = JSON.parse(process.env.CHAOS_OPTIONS ?? '{}');
console.log(`chaos: ${rounds} rounds, seed ${seed}`);
const report = await chaos({ rounds, members: 4, seed, options });
const gaps = report.gaps.sort((a, b) => a - b);
console.log(
  JSON.stringify(
    { ...report, gaps: gaps.map(Math.round), median: gaps[gaps.length >> 1] },
    undefined,
    1,
  ),
);
if (report.wrong.length > 0) process.exitCode = 1;
