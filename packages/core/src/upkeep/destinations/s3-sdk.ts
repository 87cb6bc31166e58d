import type * as Sdk from '@aws-sdk/client-s3';
import { PoolError } from '../../errors.js';
import { loadOptional } from '../system/optional-package.js';

const PACKAGE = '@aws-sdk/client-s3';

/** What `new S3Client(…)` takes; all of it is handed on. */
export interface S3ClientOptions {
  /** The server, where it is not AWS. */
  endpoint?: string;
  /** The region of the bucket. Default: what the SDK finds in the environment. */
  region?: string;
  /** Whether the bucket is in the path of a URL, and not in its host: most servers want it. */
  forcePathStyle?: boolean;
  /** Default: the SDK's chain: environment, profile, container, instance. */
  credentials?:
    | {
        /** The name of the key. */
        accessKeyId: string;
        /** The key itself. */
        secretAccessKey: string;
        /** Of credentials that expire. */
        sessionToken?: string;
      }
    | object;
  [option: string]: unknown;
}

export type { Sdk };

/** The SDK, and a client of it. */
export interface S3 {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
}

/** Loads the SDK, which is an optional peer, and makes a client. */
export async function connectS3(options: S3ClientOptions | undefined): Promise<S3> {
  const sdk = (await loadOptional(PACKAGE)) as typeof Sdk | undefined;
  if (sdk === undefined) {
    throw new PoolError(
      'POOL_OPTIONS',
      `backups in an S3 bucket need the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`,
    );
  }
  const client = new sdk.S3Client({
    // Every body is sent with its MD5, which all servers know; newer sums some of them refuse.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(options as Sdk.S3ClientConfig | undefined),
  });
  return { sdk, client };
}

/** A bucket and a key, or the beginning of keys. */
export interface S3Place {
  bucket: string;
  key: string;
}

/** Reads `s3://bucket/key`. */
export function parseS3Url(url: string): S3Place {
  const [, bucket, key = ''] = /^s3:\/\/([^/?#]+)(?:\/([^?#]*))?$/.exec(url) ?? [];
  if (bucket === undefined) {
    throw new PoolError(
      'POOL_OPTIONS',
      `${JSON.stringify(url)} is no bucket: s3://bucket, or s3://bucket/prefix`,
    );
  }
  return { bucket, key: key.replace(/^\/+/, '') };
}
