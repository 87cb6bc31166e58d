import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAMS = ['ceph-mon', 'ceph-osd', 'ceph', 'radosgw', 'radosgw-admin', 'curl'];

/** The programs that are missing here; Debian has them in ceph-mon, ceph-osd, ceph-common, radosgw. */
export function missing(): string[] {
  return PROGRAMS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
}

/** A real S3 server on loopback: Ceph's gateway. */
export interface S3Server {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  stop(): Promise<void>;
}

/** Two ports in a row that are free at this moment. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    if (port < 65_000) return port;
  }
}

export async function startS3Server(): Promise<S3Server> {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-s3-'));
  const script = fileURLToPath(new URL('radosgw.sh', import.meta.url));
  const port = await freePort();
  const [accessKeyId, secretAccessKey] = ['test-key', 'test-secret'];
  const child: ChildProcess = spawn(
    'sh',
    [script, folder, String(port), accessKeyId, secretAccessKey],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, 'data'),
    ended.then(([code]) => {
      throw new Error(`the S3 server did not start: exit code ${code}; its logs are in ${folder}`);
    }),
  ]);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    accessKeyId,
    secretAccessKey,
    stop: async () => {
      child.stdin?.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
