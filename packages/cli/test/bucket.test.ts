import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { S3TestServer } from '../../core/test/support/s3-server.ts';
import { json, poolite } from './support/cli.ts';
import { freshFolder, makeDatabase } from './support/files.ts';

test('backs up to a bucket, and verifies, lists and restores what is there', async () => {
  const server = await S3TestServer.start();
  const env = {
    AWS_ENDPOINT_URL: server.endpoint,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_MAX_ATTEMPTS: '1',
  };
  const run = (...args: string[]) => poolite([...args, '--path-style', '--json'], { env });
  const folder = freshFolder();
  const file = makeDatabase(join(folder, 'app.db'));
  const prefix = `s3://${server.bucket}/app`;
  const url = `${prefix}/backup_20260102_030405.sqlite.gz`;

  const made = await run('backup', file, url, '--compress', 'gzip');
  expect([made.code, made.stderr]).toEqual([0, '']);
  const { bytes } = json<{ bytes: number }>(made);
  expect(json(made)).toMatchObject({ file, path: url, verdict: 'ok', compressed: 'gzip' });
  expect(server.objects.get(url.slice(`s3://${server.bucket}/`.length))?.body).toHaveLength(bytes);
  expect(readdirSync(folder)).toEqual(['app.db']);

  const again = await run('backup', file, url);
  expect([again.code, json(again)]).toMatchObject([
    1,
    {
      error: { code: 'POOL_BACKUP', message: `${url} is there already, and shall not be replaced` },
    },
  ]);
  expect((await run('backup', file, url, '--compress', 'gzip', '--force')).code).toBe(0);

  expect(json(await run('verify', url))).toMatchObject({ file: url, bytes, sound: true });

  const listed = await run('backups', prefix, '--verify', 'quick');
  expect([listed.code, json(listed)]).toMatchObject([
    0,
    {
      directory: prefix,
      backups: [{ path: url, bytes, verdict: 'ok', stored: { location: url } }],
    },
  ]);
  expect((await poolite(['backups', prefix, '--path-style'], { env })).stdout).toContain(
    'backup_20260102_030405.sqlite.gz',
  );

  const target = join(folder, 'restored.db');
  expect(json(await run('restore', url, target))).toMatchObject({ path: target, verdict: 'ok' });
  expect(json(await run('verify', target))).toMatchObject({ sound: true });
  expect(readdirSync(folder).sort()).toEqual(['app.db', 'restored.db']);
});
