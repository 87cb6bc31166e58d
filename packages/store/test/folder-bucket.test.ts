import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { BucketError, MOST_KEYS } from '../src/bucket.js';
import { FolderBucket } from '../src/folder-bucket.js';
import { bucketContract } from './support/bucket-contract.js';
import { freshFolder } from './support/fresh.js';

const size = { races: 20, contenders: 20, largest: 3_000_000, pages: false };
/** Where a child's source finds the package by its own name. */
const home = fileURLToPath(new URL('..', import.meta.url));
const bytes = (text: string) => new TextEncoder().encode(text);

bucketContract(
  'a folder',
  async () => {
    const folder = join(freshFolder(), 'bucket');
    return () => new FolderBucket(folder);
  },
  { ...size, races: 3 },
);

bucketContract(
  'a folder where there are no links',
  async () => {
    const folder = join(freshFolder(), 'bucket');
    return () => new FolderBucket(folder, { links: false, sync: false });
  },
  size,
);

test('a listing has at most a page of keys', async () => {
  const folder = join(freshFolder(), 'bucket');
  mkdirSync(join(folder, 'log'), { recursive: true });
  const keys = Array.from({ length: MOST_KEYS + 5 }, (_, n) => `log/${10_000 + n}`);
  for (const key of keys) writeFileSync(join(folder, key), '');
  const bucket = new FolderBucket(folder);
  const page = await bucket.list('log/');
  expect(page).toEqual(keys.slice(0, MOST_KEYS));
  expect(await bucket.list('log/', page.at(-1))).toEqual(keys.slice(MOST_KEYS));
});

test('those that have links and those that have none exclude each other', async () => {
  const folder = join(freshFolder(), 'bucket');
  const ways = [true, false].map((links) => new FolderBucket(folder, { links, sync: false }));
  const winners = { links: 0, none: 0 };
  for (let race = 0; race < 40; race++) {
    const key = `log/${race}`;
    const results = await Promise.all(
      [0, 1, 0, 1].map((way) => ways[(way + race) % 2]?.create(key, bytes(`${(way + race) % 2}`))),
    );
    expect(results.filter((result) => result === 'created')).toHaveLength(1);
    const [links, none] = await Promise.all(ways.map((way) => way.get(key)));
    expect(links).toEqual(none);
    winners[results[race % 2] === 'created' ? 'links' : 'none']++;
    await ways[race % 2]?.put(key, bytes('a tombstone'));
    expect(await ways[0]?.get(key)).toEqual(await ways[1]?.get(key));
    expect(await ways[0]?.create(key, bytes('late'))).toBe('exists');
    expect(await ways[1]?.create(key, bytes('late'))).toBe('exists');
  }
  expect(await ways[0]?.list('log/')).toHaveLength(40);
});

test.skipIf(process.platform === 'win32')("what it makes is its owner's alone", async () => {
  const folder = join(freshFolder(), 'bucket');
  for (const links of [true, false]) {
    const bucket = new FolderBucket(folder, { links });
    await bucket.create(`log/${links}`, bytes('private'));
    await bucket.put(`snapshots/${links}`, bytes('private'));
  }
  const modes = readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777;
    return `${entry.isDirectory() ? 'folder' : 'file'} ${mode.toString(8)}`;
  });
  expect(new Set(modes)).toEqual(new Set(['folder 700', 'file 600']));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test('what killed processes left is not seen, and swept when it is old', async () => {
  const folder = join(freshFolder(), 'bucket');
  await new FolderBucket(folder).put('log/1', bytes('one'));
  const left = join(folder, '.tmp');
  for (const name of ['old', 'young']) writeFileSync(join(left, name), 'half');
  mkdirSync(join(left, 'old.d'));
  writeFileSync(join(left, 'old.d', '.body'), 'half');
  const past = new Date(Date.now() - 2 * 3_600_000);
  for (const name of ['old', 'old.d']) utimesSync(join(left, name), past, past);
  const bucket = new FolderBucket(folder);
  expect(await bucket.list('')).toEqual(['log/1']);
  await bucket.put('log/2', bytes('two'));
  expect(readdirSync(left)).toEqual(['young']);
});

test('nothing is left of what was stored or refused', async () => {
  const folder = join(freshFolder(), 'bucket');
  for (const links of [true, false]) {
    const bucket = new FolderBucket(folder, { links });
    await bucket.create('log/1', bytes('one'));
    await bucket.create('log/1', bytes('two'));
    await bucket.put('log/2', bytes('three'));
    await bucket.remove('log/1');
    await bucket.remove('log/2');
  }
  expect(readdirSync(join(folder, '.tmp'))).toEqual([]);
  expect(readdirSync(join(folder, 'log'))).toEqual([]);
});

test('processes that create at once have one winner each time', async () => {
  const folder = join(freshFolder(), 'bucket');
  const program = `
    import { FolderBucket } from '@poolite/store';
    const bucket = new FolderBucket(process.argv[1], { links: process.argv[2] === 'links', sync: false });
    const won = [];
    for (let n = 0; n < 100; n++) {
      const result = await bucket.create('log/' + n, new TextEncoder().encode(process.argv[3]));
      if (result === 'created') won.push(n);
    }
    console.log(JSON.stringify(won));
  `;
  const won = await Promise.all(
    ['links', 'links', 'none'].map(async (way, n) => {
      const child = spawn(
        process.execPath,
        ['--input-type=module', '-e', program, folder, way, `process ${n}`],
        { cwd: home, stdio: ['ignore', 'pipe', 'inherit'] },
      );
      let printed = '';
      child.stdout.on('data', (chunk) => {
        printed += chunk;
      });
      const [code] = await once(child, 'close');
      expect(code).toBe(0);
      return JSON.parse(printed) as number[];
    }),
  );
  expect(won.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  const bucket = new FolderBucket(folder);
  for (const [n, numbers] of won.entries()) {
    for (const number of numbers) {
      expect(await bucket.get(`log/${number}`)).toEqual(Buffer.from(`process ${n}`));
    }
  }
});

test('a folder that has vanished is missed, and not begun anew', async () => {
  const folder = join(freshFolder(), 'bucket');
  const bucket = new FolderBucket(folder);
  await bucket.create('log/1', bytes('one'));
  rmSync(folder, { recursive: true });
  const error = await bucket.create('log/2', bytes('two')).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BucketError);
  expect(error).toMatchObject({ definite: true });
  expect((error as Error).message).toContain(`cannot store log/2 in ${folder}: ENOENT`);
  expect(existsSync(folder)).toBe(false);
});

test('an object that is too large to be one is not read', async () => {
  const folder = join(freshFolder(), 'bucket');
  const bucket = new FolderBucket(folder);
  await bucket.put('log/1', bytes('one'));
  truncateSync(join(folder, 'log/1'), 100 * 1024 * 1024);
  await expect(bucket.get('log/1')).rejects.toThrow('it has 104857600 bytes');
  await expect(bucket.put('log/2', new Uint8Array(65 * 1024 * 1024))).rejects.toThrow(
    'it has more than 67108864 bytes',
  );
});

test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
  'what the system forbids is named, and certainly has no effect',
  async () => {
    const folder = join(freshFolder(), 'bucket');
    const bucket = new FolderBucket(folder);
    await bucket.put('log/1', bytes('one'));
    chmodSync(join(folder, 'log'), 0o500);
    const error = await bucket.create('log/2', bytes('x')).catch((reason: unknown) => reason);
    chmodSync(join(folder, 'log'), 0o700);
    expect(error).toMatchObject({ definite: true });
    expect((error as Error).message).toMatch(/cannot store log\/2 in .*: EACCES/);
  },
);
