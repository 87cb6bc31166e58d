import { createHash } from 'node:crypto';
import { PoolError, type S3ClientOptions } from '@poolite/core';
import { type Bucket, BucketError, checkKey, MOST_BYTES, MOST_KEYS } from './bucket.js';
import { bucketError, statusOf } from './s3-error.js';
import { connectS3, type S3, type S3ClientLike } from './s3-sdk.js';

/** What an {@link S3Bucket} is made of. */
export interface S3BucketOptions {
  /** The name of the bucket. */
  bucket: string;
  /** What all its keys begin with, such as `shops/7`. Default: nothing, the whole bucket. */
  prefix?: string;
  /**
   * A client of `@aws-sdk/client-s3`, or what `new S3Client(…)` takes: `region`, `endpoint`,
   * `credentials`, `forcePathStyle`, … Default: what that SDK finds in the environment.
   */
  client?: S3ClientOptions | S3ClientLike;
  /**
   * How long one request may take, in ms, with all that the SDK repeats by itself; a second more
   * for each 256 KB that is sent, and as long again for each piece that arrives. Default: 10,000.
   */
  timeout?: number;
}

const TIMEOUT = 10_000;
/** The slowest line, in bytes a ms, on which what is sent arrives in time. */
const SLOWEST = 256;
/** Bytes hashed at a time: the calling thread has other things to do. */
const SLICE = 1024 * 1024;
const MOST_MS = 2 ** 31 - 1;

/**
 * A bucket of S3, or of a server that speaks like it and honours `If-None-Match: '*'`. A request
 * that the SDK repeats by itself may meet its own object: then `create` says `'exists'`, though it
 * was this very call that created it. Whoever asks looks at what is there.
 */
export class S3Bucket implements Bucket {
  readonly where: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #given: S3BucketOptions['client'];
  readonly #timeout: number;
  #s3: Promise<S3> | undefined;

  constructor(options: S3BucketOptions) {
    const { bucket, prefix = '', client, timeout = TIMEOUT } = checked(options);
    const path = prefix.replace(/^\/+|\/+$/g, '');
    this.#bucket = bucket;
    this.#prefix = path === '' ? '' : `${path}/`;
    this.where = `s3://${bucket}/${this.#prefix}`;
    this.#given = client;
    this.#timeout = timeout;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const place = this.#place(key);
    return this.#request(
      `cannot read ${key} in`,
      0,
      async ({ sdk, client }, abortSignal, alive) => {
        let object: { Body?: unknown; ContentLength?: number | undefined };
        try {
          object = await client.send(new sdk.GetObjectCommand(place), { abortSignal });
        } catch (error) {
          if (statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket') return undefined;
          throw error;
        }
        return readBody(object, alive);
      },
    );
  }

  async create(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    try {
      await this.#put(key, body, { IfNoneMatch: '*' });
      return 'created';
    } catch (error) {
      if (statusOf((error as BucketError).cause) === 412) return 'exists';
      throw error;
    }
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    await this.#put(key, body, {});
  }

  async list(prefix: string, after?: string): Promise<string[]> {
    return this.#request(`cannot list ${prefix} in`, 0, async ({ sdk, client }, abortSignal) => {
      const page = await client.send(
        new sdk.ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + prefix,
          MaxKeys: MOST_KEYS,
          ...(after === undefined ? {} : { StartAfter: this.#prefix + after }),
        }),
        { abortSignal },
      );
      return (page.Contents ?? []).map(({ Key = '' }) => Key.slice(this.#prefix.length));
    });
  }

  async remove(key: string): Promise<void> {
    const place = this.#place(key);
    await this.#request(`cannot remove ${key} from`, 0, ({ sdk, client }, abortSignal) =>
      client.send(new sdk.DeleteObjectCommand(place), { abortSignal }),
    );
  }

  #place(key: string): { Bucket: string; Key: string } {
    checkKey(this.where, key);
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async #put(key: string, body: Uint8Array, condition: { IfNoneMatch?: string }): Promise<void> {
    const place = this.#place(key);
    const what = `cannot store ${key} in`;
    if (body.length > MOST_BYTES) {
      const message = `${what} ${this.where}: it has more than ${MOST_BYTES} bytes`;
      throw new BucketError(message, { definite: true });
    }
    const ContentMD5 = await md5(body);
    await this.#request(what, body.length, ({ sdk, client }, abortSignal) =>
      client.send(
        new sdk.PutObjectCommand({
          ...place,
          ...condition,
          Body: body,
          ContentMD5,
          ContentType: 'application/octet-stream',
        }),
        { abortSignal },
      ),
    );
  }

  /** One request, with its limit in time; `alive` begins that anew. */
  async #request<Result>(
    what: string,
    bytes: number,
    send: (s3: S3, abortSignal: AbortSignal, alive: () => void) => Promise<Result>,
  ): Promise<Result> {
    const s3 = await this.#connect();
    const limit = Math.min(MOST_MS, this.#timeout + Math.ceil(bytes / SLOWEST));
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), limit);
    try {
      return await send(s3, controller.signal, () => timer.refresh());
    } catch (error) {
      const late = controller.signal.aborted ? limit : undefined;
      throw bucketError(error, { where: this.where, what, late });
    } finally {
      clearTimeout(timer);
    }
  }

  #connect(): Promise<S3> {
    this.#s3 ??= connectS3(this.#given);
    return this.#s3;
  }
}

function checked(options: S3BucketOptions): S3BucketOptions {
  const refuse = (name: string, wanted: string): never => {
    throw new PoolError('POOL_OPTIONS', `option '${name}' must be ${wanted}`);
  };
  const { bucket, prefix, client, timeout } = options;
  if (typeof bucket !== 'string' || !/^[^/\s]+$/.test(bucket)) {
    refuse('bucket', "the name of a bucket, without 's3://' and without '/'");
  }
  if (bucket.endsWith('--x-s3')) {
    refuse('bucket', 'a general purpose bucket: the listings of a directory bucket have no order');
  }
  if (prefix !== undefined && typeof prefix !== 'string') refuse('prefix', 'a string');
  if (client !== undefined && (typeof client !== 'object' || client === null)) {
    refuse('client', 'a client of @aws-sdk/client-s3, or what new S3Client(…) takes');
  }
  const fits = timeout === undefined || (Number.isInteger(timeout) && timeout > 0);
  if (!fits || (timeout ?? 0) > MOST_MS) {
    refuse('timeout', `a whole number of ms from 1 to ${MOST_MS}`);
  }
  return options;
}

async function readBody(
  { Body, ContentLength }: { Body?: unknown; ContentLength?: number | undefined },
  alive: () => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of Body as AsyncIterable<Uint8Array>) {
    alive();
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error('it is larger than any object of the log');
    chunks.push(chunk);
  }
  if (ContentLength !== undefined && bytes !== ContentLength) {
    throw new Error(`it ended after ${bytes} of ${ContentLength} bytes`);
  }
  return Buffer.concat(chunks);
}

async function md5(bytes: Uint8Array): Promise<string> {
  const hash = createHash('md5');
  for (let at = 0; at < bytes.length; at += SLICE) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    hash.update(bytes.subarray(at, at + SLICE));
  }
  return hash.digest('base64');
}
