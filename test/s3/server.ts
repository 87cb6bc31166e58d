import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAMS = ['ceph-mon', 'ceph-osd', 'ceph', 'radosgw', 'radosgw-admin', 'curl'];

/** The programs that are missing here; Debian has them in ceph-mon, ceph-osd, ceph-common, radosgw. */
function missing(): string[] {
  return PROGRAMS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
}

/** A real S3 server on loopback: Ceph's gateway. */
export interface S3Server {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  stop(): Promise<void>;
}

/** What a client of this server is made with. */
export function clientOf({ endpoint, accessKeyId, secretAccessKey }: S3Server) {
  const credentials = { accessKeyId, secretAccessKey };
  return { endpoint, region: 'us-east-1', forcePathStyle: true, credentials };
}

/** A server with one bucket, for all tests of a file. */
export async function startS3ServerWith(bucket: string): Promise<S3Server> {
  const absent = missing();
  if (absent.length > 0) {
    throw new Error(
      `this needs ${absent.join(', ')}: apt-get install ceph-mon ceph-osd ceph-common radosgw curl`,
    );
  }
  const server = await startS3Server();
  const core = createRequire(new URL('../../packages/core/package.json', import.meta.url));
  const { S3Client, CreateBucketCommand } = core('@aws-sdk/client-s3');
  await new S3Client(clientOf(server)).send(new CreateBucketCommand({ Bucket: bucket }));
  return server;
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

async function startS3Server(): Promise<S3Server> {
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
