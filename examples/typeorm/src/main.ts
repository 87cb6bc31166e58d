import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { NestFactory } from '@nestjs/core';
import { appOn } from './app.module.ts';
import { BankService } from './bank.service.ts';
import { DOORS, databaseModule } from './database.module.ts';

const OWNERS = 20;
const TRANSFERS = 200;

const { values } = parseArgs({ options: { door: { type: 'string', default: 'driver' } } });
const door = DOORS.find((each) => each === values.door);
if (door === undefined) throw new Error(`--door is ${DOORS.join(' or ')}, not ${values.door}`);

const folder = mkdtempSync(join(tmpdir(), 'poolite-example-'));
const database = databaseModule(door, join(folder, 'bank.db'));
const app = await NestFactory.createApplicationContext(appOn(database), {
  logger: ['error', 'warn'],
});

try {
  console.log(`door: ${door}`);
  const bank = app.get(BankService);

  const { ran, pending } = await bank.migrate();
  console.log(`migrations: ${ran}, and ${pending} the second time`);

  await bank.open(OWNERS, 1000);
  console.log(`money before: ${await bank.total()}`);

  // Every transfer reads a balance and writes two: none of them may come between another's.
  const started = performance.now();
  const owner = (n: number) => `owner ${(n % OWNERS) + 1}`;
  const moved = await Promise.all(
    Array.from({ length: TRANSFERS }, (_, n) =>
      bank.transfer(owner(n), owner(n * 7 + 3), (n * 37) % 900),
    ),
  );
  const ms = performance.now() - started;
  const done = moved.filter((each) => each).length;
  console.log(`transfers: ${done} done, ${TRANSFERS - done} refused for lack of money`);
  console.log(`with the wrong manager: ${await bank.wrongTransfer()}`);
  console.log(`money after: ${await bank.total()}`);

  const { count, largest } = await bank.statement();
  console.log(`streamed: ${count} transfers, the largest of ${largest}`);
  console.log(`(${Math.round((TRANSFERS * 1000) / ms)} transactions a second)`);
} finally {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
}
