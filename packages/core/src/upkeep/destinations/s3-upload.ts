import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { TransferOptions } from './destination.js';
import type { S3, S3Place } from './s3-sdk.js';

const MIB = 1024 * 1024;
/** The least that S3 takes as a part, save the last; and the most parts of an object. */
const LEAST_PART = 5 * MIB;
const MOST_PARTS = 10_000;
/** Parts under way at once: so many are in memory. */
const CONCURRENCY = 3;
/** Bytes hashed at a time: the calling thread has other things to do. */
const SLICE = MIB;

/** The size of each part but the last. */
export function partSize(bytes: number): number {
  return Math.max(LEAST_PART, Math.ceil(bytes / MOST_PARTS / MIB) * MIB);
}

async function readPart(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, at + done);
    if (bytesRead === 0) throw new Error('the file became shorter while it was sent');
    done += bytesRead;
  }
  return buffer;
}

async function md5(bytes: Buffer): Promise<Buffer> {
  const hash = createHash('md5');
  for (let at = 0; at < bytes.length; at += SLICE) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    hash.update(bytes.subarray(at, at + SLICE));
  }
  return hash.digest();
}

export interface UploadRequest extends TransferOptions {
  file: string;
  bytes: number;
  metadata: Record<string, string>;
}

/**
 * Sends a file, in parts where it is large, each with its MD5, which the server compares. Nothing
 * is visible before all is there. Returns the ETag that an S3 server gives such an object: that
 * of a whole one is its MD5, that of one in parts the MD5 of theirs.
 */
export async function upload(s3: S3, place: S3Place, request: UploadRequest): Promise<string> {
  const handle = await open(request.file, 'r');
  try {
    const whole = request.bytes <= partSize(request.bytes);
    return await (whole ? putWhole : putParts)(s3, place, request, handle);
  } finally {
    await handle.close();
  }
}

async function putWhole(
  { sdk, client }: S3,
  { bucket, key }: S3Place,
  { bytes, metadata, signal, onProgress }: UploadRequest,
  handle: FileHandle,
): Promise<string> {
  const body = await readPart(handle, 0, bytes);
  const sum = await md5(body);
  const command = new sdk.PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: body,
    ContentMD5: sum.toString('base64'),
    ContentType: 'application/vnd.sqlite3',
    Metadata: metadata,
  });
  await client.send(command, signal === undefined ? {} : { abortSignal: signal });
  onProgress?.({ totalBytes: bytes, doneBytes: bytes });
  return sum.toString('hex');
}

async function putParts(
  { sdk, client }: S3,
  { bucket, key }: S3Place,
  { bytes, metadata, signal, onProgress }: UploadRequest,
  handle: FileHandle,
): Promise<string> {
  const place = { Bucket: bucket, Key: key };
  const created = await client.send(
    new sdk.CreateMultipartUploadCommand({
      ...place,
      ContentType: 'application/vnd.sqlite3',
      Metadata: metadata,
    }),
    signal === undefined ? {} : { abortSignal: signal },
  );
  const UploadId = created.UploadId as string;
  const size = partSize(bytes);
  const count = Math.ceil(bytes / size);
  const parts: { PartNumber: number; ETag: string | undefined }[] = new Array(count);
  const sums: Buffer[] = new Array(count);
  // One failure, or the caller's signal, ends all of them.
  const stop = new AbortController();
  const abortSignal = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  let next = 0;
  let doneBytes = 0;
  const work = async () => {
    while (next < count) {
      abortSignal.throwIfAborted();
      const index = next++;
      const at = index * size;
      const body = await readPart(handle, at, Math.min(size, bytes - at));
      const sum = await md5(body);
      const PartNumber = index + 1;
      const sent = await client.send(
        new sdk.UploadPartCommand({
          ...place,
          UploadId,
          PartNumber,
          Body: body,
          ContentMD5: sum.toString('base64'),
        }),
        { abortSignal },
      );
      parts[index] = { PartNumber, ETag: sent.ETag };
      sums[index] = sum;
      doneBytes += body.length;
      onProgress?.({ totalBytes: bytes, doneBytes });
    }
  };
  try {
    const workers = Array.from({ length: Math.min(CONCURRENCY, count) }, work);
    await Promise.all(workers).catch(async (error) => {
      stop.abort(error);
      await Promise.allSettled(workers);
      throw error;
    });
    await client.send(
      new sdk.CompleteMultipartUploadCommand({
        ...place,
        UploadId,
        MultipartUpload: { Parts: parts },
      }),
      { abortSignal },
    );
  } catch (error) {
    await giveUp({ sdk, client } as S3, place, UploadId, error);
  }
  const whole = createHash('md5').update(Buffer.concat(sums)).digest('hex');
  return `${whole}-${count}`;
}

/** Parts that no object was made of are paid for until they are removed. */
async function giveUp(
  { sdk, client }: S3,
  place: { Bucket: string; Key: string },
  UploadId: string,
  error: unknown,
): Promise<never> {
  try {
    await client.send(new sdk.AbortMultipartUploadCommand({ ...place, UploadId }));
  } catch (second) {
    throw new AggregateError(
      [error, second],
      `${(error as Error).message}; and the parts that were sent are still there: ${(second as Error).message}`,
    );
  }
  throw error;
}
