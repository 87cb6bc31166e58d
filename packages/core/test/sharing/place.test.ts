import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freshFile, freshFolder, openPool } from '../support/folder.ts';
import { member } from './member.ts';
import { pair, TABLE } from './pair.ts';

test.runIf(process.platform !== 'win32')(
  'links and long paths lead to the same writer',
  async () => {
    const folder = join(freshFolder(), 'a'.repeat(100), 'b'.repeat(100));
    mkdirSync(folder, { recursive: true });
    const { file } = await pair({}, join(folder, 'app.db'));
    const link = join(freshFolder(), 'link.db');
    symlinkSync(file, link);
    const linked = openPool(link, { writer: 'shared', readers: 3 });
    await linked.ready();
    expect(linked.stats().writer.role).toBe('client');
    await linked.exec(TABLE);
  },
);

test.runIf(process.platform !== 'win32')(
  'a socket that was left behind is in nobody’s way',
  async () => {
    const file = freshFile();
    const first = await member(file);
    first.process.kill('SIGKILL');
    await first.end();
    expect(existsSync(`${file}-writer/socket`)).toBe(true);
    const { client } = await pair({}, file);
    await client.exec(TABLE);
  },
);
