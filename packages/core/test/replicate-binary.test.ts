import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, type ReplicateOptions, restoreReplica } from '@poolite/core';
import { expect, test, vi } from 'vitest';
import { freshFolder, openPool } from './support/folder.ts';
import { PATIENCE, reaches } from './support/litestream.ts';

/**
 * Stands in for Litestream 0.5, which no package brings: it reads what that reads and says what that
 * says, line by line as its source has it, and writes down how it was called.
 */
const STAND_IN = `
  const { spawn } = require('node:child_process');
  const fs = require('node:fs');
  const [command, ...args] = process.argv.slice(2);
  if (command === 'version') return console.log(process.env.STAND_IN_VERSION);
  const config = JSON.parse(fs.readFileSync(args[args.indexOf('-config') + 1], 'utf8'));
  const mode = fs.statSync(args[args.indexOf('-config') + 1]).mode & 0o777;
  fs.appendFileSync(process.env.STAND_IN_CALLS, JSON.stringify({ command, args, config, mode }) + '\\n');
  const log = (level, msg, more) =>
    fs.writeSync(2, JSON.stringify({ time: new Date().toISOString(), level, msg, ...more }) + '\\n');
  if (command === 'restore') return log('INFO', 'no matching backups found');
  log('INFO', 'initialized db', { path: config.dbs[0].path });
  log('INFO', 'replica sync', { txid: { replica: '0000000000000000', db: '0000000000000002' } });
  log('INFO', 'ltx file uploaded', { level: 0, minTXID: '0000000000000001', maxTXID: '0000000000000001' });
  setTimeout(() => {
    log('INFO', 'ltx file uploaded', { level: 0, minTXID: '0000000000000002', maxTXID: '0000000000000002' });
    log('INFO', 'replica sync', { txid: { replica: '0000000000000002', db: '0000000000000002' } });
    log('ERROR', 'monitor error', { error: 'told for the test' });
  }, 500);
  const [, line] = /-c "(.*)"$/.exec(config.exec);
  spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'ignore', 'ignore', 3] })
    .on('exit', () => {
      const end = () => process.exit(Number(process.env.STAND_IN_CODE ?? 0));
      setTimeout(end, Number(process.env.STAND_IN_SYNC_MS ?? 0));
    });
`;

interface Call {
  command: string;
  args: string[];
  config: Record<string, unknown>;
  mode: number;
}

function standIn(version: string, code = 0) {
  const folder = freshFolder();
  const binary = join(folder, 'litestream');
  writeFileSync(binary, `#!${process.execPath}\n(() => {${STAND_IN}})();\n`);
  chmodSync(binary, 0o755);
  const calls = join(folder, 'calls');
  const env = { STAND_IN_VERSION: version, STAND_IN_CALLS: calls, STAND_IN_CODE: String(code) };
  // What tells the version is asked without the option's env.
  process.env.STAND_IN_VERSION = version;
  return {
    file: join(folder, 'app.db'),
    replicate: { url: 's3://bucket/app', binary, env } satisfies ReplicateOptions,
    calls: (): Call[] =>
      existsSync(calls)
        ? readFileSync(calls, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
  };
}

const unix = process.platform !== 'win32';

test.runIf(unix)('Litestream 0.5 is configured and understood in its own format', async () => {
  const { file, replicate, calls } = standIn('v0.5.16');
  const errors: string[] = [];
  const pool = openPool(file, {
    replicate: {
      ...replicate,
      syncInterval: 100,
      retention: 3_600_000,
      snapshotInterval: 60_000,
      settings: { endpoint: 'http://127.0.0.1:9', region: 'a $region' },
    },
  });
  pool.on('replication', ({ error }) => error && errors.push(error));
  await reaches(pool, 'running');
  expect(pool.stats().replication?.version).toBe('v0.5.16');
  await vi.waitFor(() => expect(errors).toEqual(['monitor error: told for the test']), PATIENCE);
  await pool.close();
  const [restore, replicated] = calls();
  expect(restore?.command).toBe('restore');
  expect(restore?.args).toEqual(expect.arrayContaining(['-if-replica-exists', '-no-expand-env']));
  expect(restore?.args.at(-1)).toBe(file);
  const place = { url: 's3://bucket/app', endpoint: 'http://127.0.0.1:9', region: 'a $region' };
  expect(restore?.config).toMatchObject({ dbs: [{ path: file, replica: place }] });
  expect(replicated).toMatchObject({
    command: 'replicate',
    mode: 0o600,
    config: {
      logging: { level: 'info', type: 'json', stderr: true },
      snapshot: { retention: '3600000ms', interval: '60000ms' },
      dbs: [
        {
          path: file,
          'monitor-interval': '100ms',
          replica: { ...place, 'sync-interval': '100ms' },
        },
      ],
    },
  });
});

test.runIf(unix)('Litestream 0.3 has its replicas in a list, with their own times', async () => {
  const { file, replicate, calls } = standIn('v0.3.13');
  const pool = openPool(file, { replicate: { ...replicate, retention: 1000, restore: false } });
  await reaches(pool, 'running');
  await pool.close();
  expect(calls()).toMatchObject([
    { config: { dbs: [{ replicas: [{ retention: '1000ms', 'sync-interval': '1000ms' }] }] } },
  ]);
  expect(calls()[0]?.config).not.toHaveProperty('snapshot');
});

test.runIf(unix)('a last sync that fails is tried three times, and then told', async () => {
  const { file, replicate, calls } = standIn('v0.5.16', 1);
  const pool = createPool(file, { replicate: { ...replicate, restore: false } });
  await reaches(pool, 'running');
  await expect(pool.close()).rejects.toMatchObject({ code: 'POOL_REPLICA' });
  expect(calls().map(({ command }) => command)).toEqual(new Array(3).fill('replicate'));
});

test.runIf(unix)('a last sync that takes too long is given up', async () => {
  const { file, replicate } = standIn('v0.5.16');
  const env = { ...replicate.env, STAND_IN_SYNC_MS: '10000' };
  const limits = { restore: false, stopTimeout: 0 };
  const pool = createPool(file, { replicate: { ...replicate, ...limits, env } });
  await reaches(pool, 'running');
  await expect(pool.close()).rejects.toMatchObject({
    code: 'POOL_REPLICA',
    message: expect.stringContaining('stopTimeout'),
  });
});

test.each([
  ['no such program', join('/', 'no', 'litestream'), 'no program at'],
  ['one that is no Litestream', process.execPath, 'cannot be run as litestream'],
])('%s is refused by name', async (_what, binary, message) => {
  const file = join(freshFolder(), 'app.db');
  const pool = openPool(file, { replicate: { url: 'replica', binary } });
  const refusal = { code: 'POOL_OPTIONS', message: expect.stringContaining(message) };
  await expect(pool.ready()).rejects.toMatchObject(refusal);
  await expect(pool.run('SELECT 1')).rejects.toMatchObject(refusal);
  expect(existsSync(file)).toBe(false);
  await expect(restoreReplica('replica', file, { binary })).rejects.toMatchObject(refusal);
});

test.runIf(unix)('a Litestream that is too old is refused', async () => {
  const { file, replicate } = standIn('v0.2.0');
  const pool = openPool(file, { replicate });
  await expect(pool.ready()).rejects.toThrow('too old');
});

test.each([
  ['app.db', {}, 'replicate.url'],
  ['app.db', { url: 'r', syncInterval: 99 }, 'replicate.syncInterval'],
  ['app.db', { url: 'r', env: { A: 1 } }, 'replicate.env'],
  ['app.db', { url: 'r', interval: 1 }, "unknown option 'replicate.interval'"],
  [':memory:', { url: 'r' }, 'needs the path of a file'],
])('replicate of %s with %j is refused', (file, replicate, message) => {
  const open = () => createPool(file, { replicate } as never);
  expect(open).toThrow(expect.objectContaining({ code: 'POOL_OPTIONS' }));
  expect(open).toThrow(message);
});

test.each([
  [{ readonly: true }, "contradicts 'readonly'"],
  [{ checkpoint: {} }, "contradicts 'checkpoint'"],
])('replicate is refused beside %j', (more, message) => {
  expect(() => createPool('app.db', { replicate: { url: 'r' }, ...more })).toThrow(message);
});
