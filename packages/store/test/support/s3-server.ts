import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a request meets instead of an answer, or beside it. */
export type S3Fault =
  | { status: number; code: string }
  /** No answer ever comes. */
  | 'silence'
  /** The connection ends before the request is carried out, or after. */
  | 'reset'
  | 'reset after'
  /** Half of a body arrives, then the connection ends, or nothing more comes. */
  | 'half'
  | 'half, then silence'
  /** It is carried out, and the answer says that the server failed: the SDK asks again. */
  | 'failed after';

export interface S3TestRequest {
  readonly method: string;
  readonly key: string;
  /** How many there were before of this method for this key. */
  readonly count: number;
}

/** Answers like S3 to whoever puts, gets, lists and removes objects. On loopback, in memory. */
export class S3TestServer {
  readonly objects = new Map<string, Buffer>();
  readonly requests: string[] = [];
  /** Whether it honours `If-None-Match`: many that play S3 do not. */
  conditional = true;
  fault: ((request: S3TestRequest) => S3Fault | undefined) | undefined;
  readonly bucket = 'logs';
  endpoint = '';

  static async start(): Promise<S3TestServer> {
    const self = new S3TestServer();
    const server = createServer((request, response) => {
      self.#handle(request, response).catch((error) => response.destroy(error));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    self.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return self;
  }

  /** What the client of this server is made with; the SDK repeats nothing by itself. */
  get client() {
    return {
      endpoint: this.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url as string, this.endpoint);
    const [, bucket, ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const method = request.method as string;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const count = this.requests.filter((each) => each === `${method} ${key}`).length;
    this.requests.push(`${method} ${key}`);
    const fail = (status: number, code: string) => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(`<Error><Code>${code}</Code><Message>${code} it is</Message></Error>`);
    };
    if (bucket !== this.bucket) return fail(404, 'NoSuchBucket');
    const fault = this.fault?.({ method, key, count });
    if (fault === 'silence') return;
    if (fault === 'reset') {
      request.socket.destroy();
      return;
    }
    if (typeof fault === 'object') return fail(fault.status, fault.code);
    const late = fault === 'reset after' || fault === 'failed after';
    const answer = () => {
      if (fault === 'reset after') request.socket.destroy();
      else fail(500, 'InternalError');
    };
    if (method === 'PUT') {
      const sum = createHash('md5').update(body).digest('base64');
      if (request.headers['content-md5'] !== sum) return fail(400, 'BadDigest');
      const only = this.conditional && request.headers['if-none-match'] === '*';
      if (only && this.objects.has(key)) return fail(412, 'PreconditionFailed');
      this.objects.set(key, body);
      if (late) return answer();
      response.writeHead(200, { etag: '"x"' });
      response.end();
      return;
    }
    if (method === 'DELETE') {
      this.objects.delete(key);
      response.writeHead(204);
      response.end();
      return;
    }
    if (query.get('list-type') === '2') {
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(this.#list(query));
      return;
    }
    const object = this.objects.get(key);
    if (object === undefined) return fail(404, 'NoSuchKey');
    response.writeHead(200, { 'content-length': object.length });
    if (fault !== 'half' && fault !== 'half, then silence') {
      response.end(object);
      return;
    }
    response.write(object.subarray(0, object.length / 2), () => {
      if (fault === 'half') request.socket.destroy();
    });
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('start-after') ?? '';
    const found = [...this.objects.keys()].sort().filter((key) => {
      return key.startsWith(prefix) && key > after;
    });
    const page = found.slice(0, 1000);
    const items = page.map((key) => `<Contents><Key>${key}</Key></Contents>`);
    const more = found.length > page.length;
    return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${more}</IsTruncated>${items.join('')}</ListBucketResult>`;
  }
}
