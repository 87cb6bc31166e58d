import { describe, expect, test } from 'vitest';
import type { Facts } from '../src/doctor/facts.ts';
import { findings } from '../src/doctor/findings.ts';

/** The facts of a healthy database. */
const HEALTHY: Facts = {
  file: 'app.db',
  realPath: '/data/app.db',
  bytes: 409_600,
  mode: 0o644,
  hardLinks: 1,
  isLink: false,
  writable: true,
  folderWritable: true,
  header: { pageSize: 4096, journal: 'wal', pages: 100, freePages: 0, writtenBy: '3.54.0' },
  wal: undefined,
  journalBytes: undefined,
  fileSystem: { kind: 'ext4', nature: 'local', freeBytes: 50e9, totalBytes: 100e9 },
  holders: { holders: [], complete: true },
  pools: [],
  sqliteVersion: '3.54.0',
  pragmas: {
    journal_mode: 'wal',
    page_size: 4096,
    page_count: 100,
    freelist_count: 0,
    auto_vacuum: 0,
    encoding: 'UTF-8',
    user_version: 0,
    application_id: 0,
    schema_version: 1,
  },
  tables: 1,
  indexes: 1,
  analyzed: true,
  unindexedKeys: [],
  integrity: { check: 'full', problems: [], orphans: [], orphanCount: 0, ms: 1 },
  unreadable: undefined,
};

const pragmas = HEALTHY.pragmas as NonNullable<Facts['pragmas']>;
const header = HEALTHY.header as NonNullable<Facts['header']>;
const holder = { pid: 7, command: 'node server.js', files: ['/data/app.db'] };

test('a healthy database has nothing to change', () => {
  expect(findings(HEALTHY).filter(({ status }) => status !== 'ok')).toEqual([]);
});

type Case = [check: string, status: string, message: RegExp, facts: Partial<Facts>];

describe('what is found', () => {
  test.each<Case>([
    ['file system', 'fail', /^nfs: a network/, fileSystem('nfs', 'network')],
    ['file system', 'warn', /^9p: perhaps shared/, fileSystem('9p', 'shared')],
    ['file system', 'warn', /^tmpfs: in memory/, fileSystem('tmpfs', 'memory')],
    ['file system', 'ok', /not known/, fileSystem('unknown', 'unknown')],
    ['space', 'fail', /^5\.00 MB free/, space(5e6)],
    ['space', 'warn', /^20\.0 MB free/, { ...space(20e6), bytes: 30e6, header: undefined }],
    ['permissions', 'note', /this user may not write to it/, { writable: false }],
    ['permissions', 'warn', /not to its folder/, { folderWritable: false }],
    ['journal', 'warn', /rollback journal of 512 B/, { journalBytes: 512 }],
    [
      'journal',
      'warn',
      /a -wal file is beside a database that is not in WAL mode/,
      { header: { ...header, journal: 'rollback' }, wal: wal(4096) },
    ],
    ['WAL', 'ok', /^8\.24 kB, 1 page to move$/, { wal: wal(8240, 2, 1), ...held() }],
    ['WAL', 'warn', /^100 MB, 24,000 pages to move$/, { wal: wal(100e6, 24e3, 0), ...held() }],
    ['WAL', 'note', /left by a process/, { wal: wal(8240) }],
    ['WAL', 'ok', /^8\.24 kB$/, { wal: wal(8240), holders: { holders: [], complete: false } }],
    ['page size', 'note', /^1024 bytes/, { pragmas: { ...pragmas, page_size: 1024 } }],
    [
      'free pages',
      'note',
      /^4,000 pages, 40 % of the file/,
      { pragmas: { ...pragmas, page_count: 10_000, freelist_count: 4000 } },
    ],
    ['statistics', 'note', /has none/, { analyzed: false }],
    ['SQLite version', 'warn', /3\.45\.1/, { header: { ...header, writtenBy: '3.45.1' } }],
    ['SQLite version', 'warn', /3\.51\.2/, { header: { ...header, writtenBy: '3.51.2' } }],
    ['SQLite version', 'ok', /3\.51\.3/, { header: { ...header, writtenBy: '3.51.3' } }],
    ['open in', 'ok', /^1 process: 7 \(node server\.js\)$/, held()],
    ['open in', 'ok', /may not look into$/, { holders: { holders: [], complete: false } }],
    [
      'integrity',
      'fail',
      /^cannot be read: .*SQLITE_CORRUPT/,
      { unreadable: { code: 'SQLITE_CORRUPT', message: 'malformed' } },
    ],
  ])('%s: %s, %s', (check, status, message, facts) => {
    const finding = findings({ ...HEALTHY, ...facts }).find((each) => each.check === check);
    expect(finding).toMatchObject({ status });
    expect(finding?.message).toMatch(message);
    if (status !== 'ok' && check !== 'permissions') expect(finding?.advice).toBeDefined();
  });
});

function fileSystem(kind: string, nature: Facts['fileSystem']['nature']): Partial<Facts> {
  return { fileSystem: { ...HEALTHY.fileSystem, kind, nature } };
}

function space(freeBytes: number): Partial<Facts> {
  return { fileSystem: { ...HEALTHY.fileSystem, freeBytes } };
}

function wal(bytes: number, pages?: number, checkpointed?: number): NonNullable<Facts['wal']> {
  return { bytes, pages, checkpointed };
}

function held(): Partial<Facts> {
  return { holders: { holders: [holder], complete: true } };
}
