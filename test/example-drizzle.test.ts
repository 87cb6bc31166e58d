import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { type Browser, chromium } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';

const folder = new URL('../examples/drizzle/', import.meta.url);

/** What `pnpm start` runs once the packages are built, as they are here. */
function startCommand(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
  const [, command] = (scripts.start as string).split(' && node ');
  return (command as string).split(' ');
}

function freshFile(): string {
  const home = mkdtempSync(join(tmpdir(), 'poolite-example-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return join(home, 'poll.db');
}

interface Server {
  url: string;
  process: ChildProcess;
  /** Everything that it printed, and how it ended. */
  ended: Promise<{ code: number | null; said: string[] }>;
}

async function start(file: string): Promise<Server> {
  const process_ = spawn(process.execPath, startCommand(), {
    cwd: fileURLToPath(folder),
    env: { ...process.env, DATABASE: file, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void process_.kill('SIGKILL'));
  const said: string[] = [];
  const lines = createInterface({ input: process_.stdout });
  lines.on('line', (line) => said.push(line));
  createInterface({ input: process_.stderr }).on('line', (line) => said.push(line));
  const ended = once(process_, 'close').then(([code]) => ({ code, said }));
  await Promise.race([once(lines, 'line'), ended]);
  const [, url] = /^listening on (http:.*)$/.exec(said[0] ?? '') ?? [];
  if (url === undefined) throw new Error(`the server did not start:\n${said.join('\n')}`);
  return { url, process: process_, ended };
}

const counts = (file: string) => {
  const database = new Database(file, { readonly: true });
  const sql = 'SELECT (SELECT sum(votes) FROM option), (SELECT count(*) FROM vote)';
  const row = database.prepare(sql).raw().get();
  database.close();
  return row as [counted: number, cast: number];
};

test('votes of many at once are all counted', async () => {
  const file = freshFile();
  const { url, process, ended } = await start(file);
  const vote = (id: number) => fetch(`${url}/options/${id}/votes`, { method: 'POST' });
  const answers = await Promise.all(Array.from({ length: 120 }, (_, n) => vote((n % 3) + 1)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  const seen = (bodies as { votes: number }[]).map(({ votes }) => votes).sort((a, b) => a - b);
  expect(seen).toEqual(Array.from({ length: 120 }, (_, n) => Math.floor(n / 3) + 1));
  expect((await vote(99)).status).toBe(404);
  const add = (name: string) =>
    fetch(`${url}/options`, { method: 'POST', body: new URLSearchParams({ name }) });
  expect([await add('Barbara'), await add('Barbara'), await add(' ')].map((a) => a.status)).toEqual(
    [201, 409, 400],
  );
  process.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0 });
  expect(counts(file)).toEqual([120, 120]);
});

test('what was answered is stored when the server is told to end meanwhile, and nothing by halves', async () => {
  const file = freshFile();
  const { url, process, ended } = await start(file);
  const votes = Array.from({ length: 200 }, (_, n) =>
    fetch(`${url}/options/${(n % 3) + 1}/votes`, { method: 'POST' }).then(
      ({ status }) => status,
      () => 'refused',
    ),
  );
  await Promise.race(votes);
  process.kill('SIGTERM');
  const answered = (await Promise.all(votes)).filter((status) => status === 201).length;
  const { code, said } = await ended;
  expect({ code, said: said.slice(1) }).toEqual({ code: 0, said: ['SIGTERM: closing', 'closed'] });
  expect(existsSync(`${file}-wal`)).toBe(false);
  const [counted, cast] = counts(file);
  expect(cast).toBe(counted);
  expect(cast).toBeGreaterThanOrEqual(answered);
  // It starts again on the same file, with nothing to migrate.
  const again = await start(file);
  expect(await (await fetch(again.url)).text()).toContain(`${counted} votes counted, ${cast} cast`);
});

const BROWSERS = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const executablePath = BROWSERS.find((path) => path !== undefined && existsSync(path));

test('its page votes in a browser', async ({ skip }) => {
  if (executablePath === undefined) {
    const reason = 'no Chromium is installed (apt-get install chromium), nor named by CHROMIUM';
    console.warn(`The page of examples/drizzle is not tried: ${reason}`);
    return skip(reason);
  }
  const file = freshFile();
  const { url } = await start(file);
  const browser: Browser = await chromium.launch({
    ...{ executablePath, args: ['--no-sandbox'], timeout: 100_000 },
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(100_000);
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));

  await page.goto(url);
  const total = page.locator('#total');
  const rows = () => page.locator('#standing li').allInnerTexts();
  const names = async () => (await rows()).map((row) => row.split(/\s/)[0]);
  expect(await page.locator('#latest').textContent()).toBe('Nobody has voted yet');
  expect(await names()).toEqual(['Ada', 'Edsger', 'Grace']);

  await page.getByRole('button', { name: 'Vote for Grace' }).click();
  await page.getByText('1 votes counted, 1 cast').waitFor();
  expect(await names()).toEqual(['Grace', 'Ada', 'Edsger']);

  await page.getByRole('button', { name: '50 votes for Edsger' }).click();
  await page.getByText('51 votes counted, 51 cast').waitFor();
  expect(await names()).toEqual(['Edsger', 'Grace', 'Ada']);

  await page.getByLabel('Another name').fill('<b>Barbara</b>');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('button', { name: 'Vote for <b>Barbara</b>' }).click();
  await page.getByText('Latest: <b>Barbara</b>').waitFor();

  await page.getByLabel('Another name').fill('Ada');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByText('Ada is there already').waitFor();

  await page.reload();
  expect(await total.textContent()).toBe('52 votes counted, 52 cast');
  expect(errors).toEqual([]);
  expect(counts(file)).toEqual([52, 52]);
});
