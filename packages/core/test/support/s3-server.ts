import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

interface StoredObject {
  body: Buffer;
  etag: string;
  metadata: Record<string, string>;
  modified: Date;
}

/** A request that the server answers otherwise than it should, once or always. */
export type Fault = (request: {
  method: string;
  key: string;
  query: URLSearchParams;
}) => { status: number; code: string } | { body: Buffer } | undefined;

/**
 * Answers like S3 to whoever puts, gets, lists and removes objects, and refuses what a real server
 * would: a body that is not what its MD5 says, a part that is too small, a request that nobody
 * signed. On loopback, in memory; gone with the test.
 */
export class S3TestServer {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<
    string,
    { key: string; headers: IncomingMessage['headers']; parts: Map<number, Buffer> }
  >();
  readonly requests: string[] = [];
  /** Keys on one page of a list. */
  pageSize = 1000;
  fault: Fault | undefined;
  /** What an answer waits for. */
  wait: ((request: { method: string; key: string }) => Promise<void> | undefined) | undefined;
  /** Whether ETags are MD5s, as without encryption by the server. */
  md5Etags = true;
  readonly bucket = 'backups';
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

  /** What the client of this server is made with. */
  get client() {
    return {
      endpoint: this.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    };
  }

  get keys(): string[] {
    return [...this.objects.keys()].sort();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url as string, this.endpoint);
    const [, bucket, ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const method = request.method as string;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    let body = Buffer.concat(chunks);
    this.requests.push(`${method} ${key}`);
    const fail = (status: number, code: string) => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      const text = `<Error><Code>${code}</Code><Message>${code} it is</Message></Error>`;
      response.end(method === 'HEAD' ? undefined : text);
    };
    const xml = (text: string) => {
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
    };
    if (!request.headers.authorization?.includes('Credential=key/')) {
      return fail(403, 'AccessDenied');
    }
    if (bucket !== this.bucket) return fail(404, 'NoSuchBucket');
    await this.wait?.({ method, key });
    const fault = this.fault?.({ method, key, query });
    if (fault !== undefined && 'status' in fault) return fail(fault.status, fault.code);
    if (method === 'PUT') {
      const sum = createHash('md5').update(body).digest('base64');
      if (request.headers['content-md5'] !== sum) return fail(400, 'BadDigest');
    }
    // It stores something else than it was sent.
    if (fault !== undefined) body = Buffer.from(fault.body);
    const upload = this.uploads.get(query.get('uploadId') ?? '');
    if (method === 'POST' && query.has('uploads')) {
      const id = `upload-${this.uploads.size}-${this.requests.length}`;
      this.uploads.set(id, { key, headers: request.headers, parts: new Map() });
      return xml(
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    if (query.has('uploadId')) {
      if (upload === undefined) return fail(404, 'NoSuchUpload');
      if (method === 'DELETE') {
        this.uploads.delete(query.get('uploadId') as string);
        response.writeHead(204);
        response.end();
        return;
      }
      if (method === 'PUT') {
        upload.parts.set(Number(query.get('partNumber')), body);
        response.writeHead(200, { etag: `"${createHash('md5').update(body).digest('hex')}"` });
        response.end();
        return;
      }
      const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
      const listed = [...body.toString().matchAll(/<PartNumber>(\d+)</g)].map(([, n]) => Number(n));
      if (listed.length !== parts.length) return fail(400, 'InvalidPart');
      if (parts.slice(0, -1).some((part) => part.length < 5 * 1024 * 1024)) {
        return fail(400, 'EntityTooSmall');
      }
      const sums = parts.map((part) => createHash('md5').update(part).digest());
      const sum = createHash('md5').update(Buffer.concat(sums)).digest('hex');
      this.#store(key, Buffer.concat(parts), `${sum}-${parts.length}`, upload.headers);
      this.uploads.delete(query.get('uploadId') as string);
      return xml(
        `<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`,
      );
    }
    if (method === 'GET' && query.get('list-type') === '2') return xml(this.#list(query));
    if (method === 'PUT') {
      this.#store(key, body, createHash('md5').update(body).digest('hex'), request.headers);
      response.writeHead(200);
      response.end();
      return;
    }
    if (method === 'DELETE') {
      this.objects.delete(key);
      response.writeHead(204);
      response.end();
      return;
    }
    const object = this.objects.get(key);
    if (object === undefined) return fail(404, 'NoSuchKey');
    response.writeHead(200, {
      ...object.metadata,
      etag: this.md5Etags ? `"${object.etag}"` : '"kept-with-a-key-of-its-own"',
      'last-modified': object.modified.toUTCString(),
      'content-length': object.body.length,
    });
    response.end(method === 'HEAD' ? undefined : object.body);
  }

  #store(key: string, body: Buffer, etag: string, headers: IncomingMessage['headers']): void {
    const kept = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'));
    const metadata = Object.fromEntries(kept) as Record<string, string>;
    this.objects.set(key, { body, etag, metadata, modified: new Date() });
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? '';
    const found = this.keys.filter((key) => key.startsWith(prefix) && key > after);
    const page = found.slice(0, this.pageSize);
    const items = page.map((key) => {
      const { body, modified } = this.objects.get(key) as StoredObject;
      const date = modified.toISOString();
      return `<Contents><Key>${key}</Key><Size>${body.length}</Size><LastModified>${date}</LastModified></Contents>`;
    });
    const more = found.length > page.length;
    const token = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${token}${items.join('')}</ListBucketResult>`;
  }
}
