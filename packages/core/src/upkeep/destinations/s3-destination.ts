import { createHash } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import { PoolError } from '../../errors.js';
import {
  type BackupDestination,
  isBackupName,
  type StoredBackup,
  sha256,
  type TransferOptions,
  transferError,
} from './destination.js';
import { connectS3, parseS3Url, type S3, type S3ClientOptions } from './s3-sdk.js';
import { upload } from './s3-upload.js';

/** The header, behind `x-amz-meta-`, that holds the SHA-256 of the whole file. */
const SUM = 'poolite-sha256';

/** What a server says that keeps a key of one's own, or encrypts: the ETag is no MD5 then. */
function isMd5(etag: string | undefined): boolean {
  return etag !== undefined && /^"?[0-9a-f]{32}(-\d+)?"?$/.test(etag);
}

/** A bucket of S3, or of a server that speaks like it. */
export class S3Destination implements BackupDestination {
  readonly where: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #options: S3ClientOptions | undefined;
  #s3: Promise<S3> | undefined;

  constructor(url: string, options: S3ClientOptions | undefined) {
    const { bucket, key } = parseS3Url(url);
    this.#bucket = bucket;
    this.#prefix = key === '' || key.endsWith('/') ? key : `${key}/`;
    this.where = `s3://${bucket}/${this.#prefix}`;
    this.#options = options;
  }

  locationOf(name: string): string {
    return this.where + name;
  }

  /** Whether there is one of this name. */
  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    const { sdk, client } = await this.#connect();
    const command = new sdk.HeadObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + name });
    try {
      await client.send(command, signal === undefined ? {} : { abortSignal: signal });
      return true;
    } catch (error) {
      const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
      if ($metadata?.httpStatusCode === 404) return false;
      throw transferError(`cannot look for ${this.locationOf(name)}`, error, signal);
    }
  }

  async put(file: string, name: string, options: TransferOptions = {}): Promise<StoredBackup> {
    const { signal } = options;
    const s3 = await this.#connect();
    const place = { bucket: this.#bucket, key: this.#prefix + name };
    try {
      const bytes = (await stat(file)).size;
      const sum = await sha256(file, signal);
      const etag = await upload(s3, place, { ...options, file, bytes, metadata: { [SUM]: sum } });
      return await this.#verified(s3, name, { bytes, sum, etag }, signal);
    } catch (error) {
      throw transferError(`cannot store ${name} in ${this.where}`, error, signal);
    }
  }

  async list(): Promise<StoredBackup[]> {
    const { sdk, client } = await this.#connect();
    const found: StoredBackup[] = [];
    try {
      let token: string | undefined;
      do {
        const page = await client.send(
          new sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
          const name = Key.slice(this.#prefix.length);
          if (!isBackupName(name)) continue;
          found.push({
            name,
            location: this.locationOf(name),
            bytes: Size,
            storedAt: LastModified,
          });
        }
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    } catch (error) {
      throw transferError(`cannot list ${this.where}`, error);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async get(name: string, file: string, { signal, onProgress }: TransferOptions = {}) {
    const s3 = await this.#connect();
    const out = await open(file, 'w');
    try {
      const { sum, wanted } = await this.#read(s3, name, signal, async (chunk, done, total) => {
        await out.writeFile(chunk);
        onProgress?.({ totalBytes: total, doneBytes: done });
      });
      if (wanted !== undefined && sum !== wanted) {
        throw new Error(`its SHA-256 is ${sum}, but ${wanted} was stored: it has been damaged`);
      }
      await out.sync();
      await out.close();
    } catch (error) {
      await out.close();
      await rm(file, { force: true });
      throw transferError(`cannot fetch ${this.where}${name}`, error, signal);
    }
  }

  async remove(name: string): Promise<void> {
    const { sdk, client } = await this.#connect();
    try {
      await client.send(
        new sdk.DeleteObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + name }),
      );
    } catch (error) {
      throw transferError(`cannot remove ${this.where}${name}`, error);
    }
  }

  #connect(): Promise<S3> {
    this.#s3 ??= connectS3(this.#options);
    return this.#s3;
  }

  /**
   * Makes sure that the server has what was sent. Its ETag tells; where that is no MD5, as with
   * keys of KMS, or differs, the object is read back. What is not as it was sent is removed.
   */
  async #verified(
    s3: S3,
    name: string,
    { bytes, sum, etag }: { bytes: number; sum: string; etag: string },
    signal: AbortSignal | undefined,
  ): Promise<StoredBackup> {
    const { sdk, client } = s3;
    const place = { Bucket: this.#bucket, Key: this.#prefix + name };
    const head = await client.send(
      new sdk.HeadObjectCommand(place),
      signal === undefined ? {} : { abortSignal: signal },
    );
    const same = isMd5(head.ETag) && head.ETag?.replaceAll('"', '') === etag;
    if (head.ContentLength !== bytes || !same) {
      const read = await this.#read(s3, name, signal, async () => {});
      if (read.sum !== sum) {
        await this.remove(name);
        throw new Error('what was read back is not what was sent; it has been removed');
      }
    }
    const storedAt = head.LastModified ?? new Date();
    return { name, location: this.locationOf(name), bytes, storedAt };
  }

  /** Reads an object chunk by chunk; gives its SHA-256, and the one it was stored with. */
  async #read(
    { sdk, client }: S3,
    name: string,
    signal: AbortSignal | undefined,
    take: (chunk: Uint8Array, done: number, total: number) => Promise<void>,
  ): Promise<{ sum: string; wanted: string | undefined }> {
    const object = await client.send(
      new sdk.GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + name }),
      signal === undefined ? {} : { abortSignal: signal },
    );
    const total = object.ContentLength ?? 0;
    const hash = createHash('sha256');
    let done = 0;
    for await (const chunk of object.Body as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      done += chunk.length;
      await take(chunk, done, total);
    }
    if (done !== total) throw new Error(`it ended after ${done} of ${total} bytes`);
    return { sum: hash.digest('hex'), wanted: object.Metadata?.[SUM] };
  }
}

/** The backup that a URL names: where it is, and its name there. */
export function objectOf(
  url: string,
  client: S3ClientOptions | undefined,
): { destination: S3Destination; name: string } {
  const { bucket, key } = parseS3Url(url);
  const at = key.lastIndexOf('/') + 1;
  if (at === key.length) {
    throw new PoolError('POOL_OPTIONS', `${url} names no backup: s3://bucket/key`);
  }
  const destination = new S3Destination(`s3://${bucket}/${key.slice(0, at)}`, client);
  return { destination, name: key.slice(at) };
}
