import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Sdk from '@aws-sdk/client-s3';
import { PoolError, type S3ClientOptions } from '@poolite/core';

const PACKAGE = '@aws-sdk/client-s3';

/** A client of `@aws-sdk/client-s3` that there is: whatever has its `send`. */
export interface S3ClientLike {
  /** Sends a command of that package. */
  send(command: never, options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

/** The SDK, and a client of it. */
export interface S3 {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
}

function isClient(value: object): value is S3ClientLike {
  return typeof (value as Partial<S3ClientLike>).send === 'function';
}

/** Loads the SDK, which is an optional peer, and makes a client, where none is given. */
export async function connectS3(given: S3ClientOptions | S3ClientLike | undefined): Promise<S3> {
  const sdk = await loadSdk();
  if (given !== undefined && isClient(given))
    return { sdk, client: given as unknown as Sdk.S3Client };
  const client = new sdk.S3Client({
    // Every body is sent with its MD5, which all servers know; newer sums some of them refuse.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(given as Sdk.S3ClientConfig | undefined),
  });
  return { sdk, client };
}

async function loadSdk(): Promise<typeof Sdk> {
  // From this package or, where all is one bundle, from the application's folder.
  const application = pathToFileURL(join(process.cwd(), 'index.js')).href;
  for (const from of [import.meta.url, application]) {
    let file: string;
    try {
      file = createRequire(from).resolve(PACKAGE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      continue;
    }
    const loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
    // The names of a CommonJS package may all be below its default export.
    return (loaded.default ?? loaded) as typeof Sdk;
  }
  throw new PoolError(
    'POOL_OPTIONS',
    `a log in an S3 bucket needs the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`,
  );
}
