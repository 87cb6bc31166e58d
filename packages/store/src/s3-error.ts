import { BucketError } from './bucket.js';

/** What the SDK throws: the server's answer, or what went wrong on the way. */
interface S3Failure {
  readonly name?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
}

/** What was asked for, for the message. */
export interface S3Request {
  /** `s3://bucket/prefix/`. */
  readonly where: string;
  /** `cannot read log/1 in`. */
  readonly what: string;
  /** The limit in ms that has run out; undefined where it has not. */
  readonly late: number | undefined;
}

/** The way out of what a server refuses, by the code of its answer. */
const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: "make the bucket, or correct the option 'bucket' (or 'client.endpoint')",
  AccessDenied:
    'its credentials need s3:GetObject, s3:PutObject and s3:DeleteObject on its objects, and s3:ListBucket on the bucket',
  InvalidAccessKeyId: "the server does not know these credentials: correct 'client.credentials'",
  SignatureDoesNotMatch: "the secret key is wrong: correct 'client.credentials'",
  ExpiredToken: 'the credentials have expired: give a provider that renews them',
  RequestTimeTooSkewed: "this machine's clock is wrong by more than 15 minutes: set it",
  PermanentRedirect: "the bucket is in another region: correct 'client.region'",
  AuthorizationHeaderMalformed: "the bucket is in another region: correct 'client.region'",
  CredentialsProviderError:
    "give 'client.credentials', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
  NotImplemented:
    "the server knows no conditional writes (If-None-Match: '*'), without which no log can be kept in it",
};

/** What these statuses say may be different the next time; all others from 400 to 499 say no. */
const MAY_CHANGE = new Set([408, 409, 412, 425, 429]);

/** The status of the server's answer; undefined where none came. */
export function statusOf(error: unknown): number | undefined {
  return (error as S3Failure | undefined)?.$metadata?.httpStatusCode;
}

/** The error that a bucket throws for one of the SDK's. */
export function bucketError(error: unknown, { where, what, late }: S3Request): BucketError {
  const { name = 'Error', message = '' } = (error ?? {}) as S3Failure;
  if (late !== undefined) {
    return new BucketError(`${what} ${where}: no answer within ${late} ms`, {
      definite: false,
      cause: error,
    });
  }
  const definite = isRefusal(error as S3Failure);
  // Answers to HEAD and some proxies' have no code: their status says as much.
  const code = name in ADVICE || statusOf(error) !== 403 ? name : 'AccessDenied';
  const advice = Object.hasOwn(ADVICE, code) ? `; ${ADVICE[code]}` : '';
  const said = message === '' || message === name ? name : `${name}: ${message}`;
  return new BucketError(`${what} ${where}: ${said}${advice}`, { definite, cause: error });
}

/**
 * Whether the request certainly had no effect. The SDK repeats requests by itself: what the last
 * one was answered says nothing about those before it, which may have had one.
 */
function isRefusal(error: S3Failure): boolean {
  if (error?.$metadata?.attempts !== 1) return false;
  const { name, $metadata } = error;
  if (name === 'CredentialsProviderError' || name === 'NotImplemented') return true;
  // Which is a 400: the server has waited for a body that did not arrive whole.
  if (name === 'RequestTimeout') return false;
  const status = $metadata.httpStatusCode ?? 0;
  return status >= 300 && status < 500 && !MAY_CHANGE.has(status);
}
