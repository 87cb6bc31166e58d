import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '@poolite/core';
import { storeIn } from '../../packages/store/src/store.ts';
import { storeSettings } from '../../packages/store/src/store-options.ts';
import { PATIENT } from '../chaos/entries.ts';
import { Report } from '../chaos/report.ts';
import { randomFrom } from '../support/random.ts';
import { scratch } from '../support/scratch.ts';
import { check } from './check.ts';
import { Member, type MemberOptions } from './crew.ts';
import { type Harm, isRare, type Point } from './harm.ts';
import { FIRST_ROWS, TABLES } from './plans.ts';
import { bucketIn, land, readLog } from './reading.ts';
import type { Line } from './told.ts';

/** Some members at one bucket, from its first entry until all is compared. */
export interface Era {
  seed: number;
  members: number;
  /** Where members are killed, one after the other; members that die are started again. */
  points?: readonly Point[];
  /** How often a member may come to its point before it is killed there. Default: 25. */
  most?: number;
  /** How often a member that died begins with a new file, from 0 to 1. Default: 0.15. */
  renewed?: number;
  /** How often one of them stands still for a while. */
  stops?: number;
  /** How long they work beside that, at least, in ms. */
  ms?: number;
  /** Entries between snapshots; 0: none. */
  snapshotEvery?: number;
  callers?: number;
  options?: Partial<Pick<MemberOptions, 'network' | 'broken' | 'kinds' | 'calls' | 'retries'>>;
}

/** How long a member may take until it comes to a point; then it is killed where it is. In ms. */
const PATIENCE = 15_000;
/** How often a commit may be tried for, in ms, until nobody knows what became of it. */
const DOUBT = 300;

/** Lets members work and come to harm, and compares everything that is left. */
export async function live(era: Era): Promise<Report> {
  const report = new Report();
  const { folder, keep, remove } = scratch('poolite-store-');
  const random = randomFrom(era.seed);
  const settings = { patience: DOUBT, snapshotEvery: era.snapshotEvery ?? 0 };
  const members = Array.from({ length: era.members }, (_, i) => {
    const options = { folder, callers: era.callers ?? 3, retries: 10, settings, ...era.options };
    return new Member(`m${i}`, options);
  });
  try {
    await makeTables(folder);
    await work(era, members, folder, random, report);
    await land(folder);
    await all(members, report, (member) => member.idle());
    const left = await all(members, report, (member) => member.close());
    await compare(era, members, left, folder, report);
  } finally {
    for (const member of members) if (member.isAlive) member.signal('SIGKILL');
    await Promise.all(members.map((member) => member.gone));
    if (process.env.KEEP) {
      console.log(folder);
      keep();
    } else remove();
  }
  return report;
}

/** Has each of them do something; those that could. */
async function all(
  members: readonly Member[],
  report: Report,
  what: (member: Member) => Promise<void>,
): Promise<Member[]> {
  const done = await Promise.allSettled(members.map(what));
  return members.filter((_, i) => {
    const each = done[i] as PromiseSettledResult<void>;
    if (each.status === 'rejected') report.expect(false, () => String(each.reason.message));
    return each.status === 'fulfilled';
  });
}

async function makeTables(folder: string): Promise<void> {
  const store = storeIn(bucketIn(folder), storeSettings('test', {}));
  const pool = createPool(join(folder, 'maker.db'), {
    ...{ driver: 'node:sqlite', store, readers: 1, ...PATIENT },
  });
  await pool.exec(`${TABLES} ${FIRST_ROWS}`);
  await pool.close();
}

/** Everything that is done to the members, until it is done. */
async function work(
  { points = [], most = 25, renewed = 0.15, stops = 0, ms = 0 }: Era,
  members: readonly Member[],
  folder: string,
  random: () => number,
  report: Report,
): Promise<void> {
  const deck = [...points];
  const below = (limit: number) => Math.floor(random() * limit);
  const over = delay(ms);
  const lives = async (member: Member) => {
    for (;;) {
      const point = deck.splice(below(deck.length), 1)[0];
      member.start(below(2 ** 31), point && harmAt(point, below, most));
      if (point === undefined) return member.isReady;
      await death(member, report);
      // What it has sent arrives now, or later, or never.
      if (random() < 0.7) {
        await delay(below(200));
        report.count('requests that outlived their sender', await land(folder));
      }
      if (random() < renewed) {
        member.forget();
        report.count('new replicas');
      }
    }
  };
  const standing = (async () => {
    for (let i = 0; i < stops; i++) {
      const member = members[below(members.length)] as Member;
      await delay(below(300));
      member.signal('SIGSTOP');
      await delay(below(i % 4 === 0 ? 1500 : 200));
      member.signal('SIGCONT');
      report.count('stops');
    }
  })();
  await Promise.all([all(members, report, lives), standing, over]);
}

function harmAt(point: Point, below: (limit: number) => number, most: number): Harm {
  return { point, times: 1 + below(isRare(point) ? 2 : most) };
}

/** Until it has died of what it was sent out for, or of waiting for it. */
async function death(member: Member, report: Report): Promise<void> {
  const timer = setTimeout(() => {
    report.count('killed elsewhere');
    member.signal('SIGKILL');
  }, PATIENCE);
  try {
    await member.dead();
  } finally {
    clearTimeout(timer);
  }
}

async function compare(
  era: Era,
  members: readonly Member[],
  left: readonly Member[],
  folder: string,
  report: Report,
): Promise<void> {
  const told = members.map((member) => ({ member: member.name, lines: member.lines() }));
  if ((era.snapshotEvery ?? 0) === 0) {
    const made = told.flatMap(({ lines }) => lines.filter(isRestored));
    report.expect(
      made.length === 0,
      () => 'a replica was not what the log says when it was opened',
    );
  }
  const log = await readLog(folder).catch((error: Error) => {
    report.expect(false, () => error.message);
  });
  if (log === undefined) return;
  const replicas = left.map(({ file }) => file);
  check({ log, told, replicas, scratch: join(folder, 'replay.db') }, report);
}

function isRestored({ say }: Line): boolean {
  return say === 'restored';
}
