import { chmodSync, createReadStream, createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { PoolError } from '../../errors.js';
import { throwIfAborted } from '../jobs/error.js';
import { firstBytes } from './check.js';
import type { BackupCompression } from './options.js';

// Every thread of the pool starts from the file that this is built into, and an import would load
// these before it runs: a tenth of its start. Only jobs come here.
const { createHash } = process.getBuiltinModule('node:crypto');
const stream = process.getBuiltinModule('node:stream');
const { pipeline } = process.getBuiltinModule('node:stream/promises');
const zlib = process.getBuiltinModule('node:zlib');

const CHUNK = 1 << 20;

/** Refuses what this version of Node.js does not know. */
export function checkCompression(compression: BackupCompression): void {
  // It came with 22.15; the package runs on 22.14 too.
  if (compression === 'zstd' && typeof zlib.createZstdCompress !== 'function') {
    throw new PoolError(
      'POOL_OPTIONS',
      `option 'compress': 'zstd' needs Node.js 22.15 or newer, this is ${process.version}; use 'gzip'`,
    );
  }
}

/** How a file is compressed, by its first bytes, whatever it is called. */
export function compressionOf(file: string): BackupCompression {
  const start = firstBytes(file, 4).toString('hex');
  if (start.startsWith('1f8b')) return 'gzip';
  return start === '28b52ffd' ? 'zstd' : false;
}

function counted(control: Int32Array, seen: (chunk: Buffer) => void) {
  return async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      throwIfAborted(control);
      seen(chunk);
      yield chunk;
    }
  };
}

/** Compresses a file, and unpacks what was written to compare it with what it was made of. */
export async function compress(
  from: string,
  to: string,
  compression: 'gzip' | 'zstd',
  mode: number,
  control: Int32Array,
): Promise<void> {
  checkCompression(compression);
  const before = createHash('sha256');
  await pipeline(
    createReadStream(from, { highWaterMark: CHUNK }),
    counted(control, (chunk) => before.update(chunk)),
    compression === 'gzip'
      ? zlib.createGzip({ level: 6 })
      : zlib.createZstdCompress({ params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } }),
    createWriteStream(to, { flags: 'wx', flush: true, mode }),
  );
  chmodSync(to, mode);
  const after = createHash('sha256');
  const sink = new stream.Writable({
    write: (chunk: Buffer, _encoding, done) => {
      after.update(chunk);
      done();
    },
  });
  await unpackTo(to, compression, control, sink);
  if (before.digest('hex') !== after.digest('hex')) {
    throw new PoolError(
      'POOL_BACKUP',
      `what was compressed into ${to} does not unpack to the same`,
    );
  }
}

/** Unpacks a file, or copies one that is not compressed. */
export async function unpack(
  from: string,
  to: string,
  compression: BackupCompression,
  control: Int32Array,
): Promise<void> {
  await unpackTo(from, compression, control, createWriteStream(to, { flags: 'wx', flush: true }));
}

async function unpackTo(
  from: string,
  compression: BackupCompression,
  control: Int32Array,
  to: Writable,
): Promise<void> {
  checkCompression(compression);
  const source = createReadStream(from, { highWaterMark: CHUNK });
  const checked = counted(control, () => {});
  if (compression === false) return pipeline(source, checked, to);
  const unpacked = compression === 'gzip' ? zlib.createGunzip() : zlib.createZstdDecompress();
  try {
    await pipeline(source, checked, unpacked, to);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (!/^(Z_|ZSTD_|ERR_)/.test(code)) throw error;
    throw new PoolError('POOL_BACKUP', `${from} is damaged: it does not unpack (${message})`, {
      cause: error,
    });
  }
}
