import { Readable } from 'node:stream';

/**
 * Rows as a stream of objects. It gives its connection back when it ends, when it fails and when
 * it is destroyed. `onEnd` is called in the last case too: TypeORM's select builders release
 * their query runner there, and nowhere else.
 */
export function readableOf(
  rows: AsyncIterableIterator<unknown>,
  onEnd: (() => void) | undefined,
  onError: ((error: Error) => void) | undefined,
): Readable {
  const readable = Readable.from(rows, { objectMode: true });
  let told = false;
  const once = (tell: () => void) => {
    if (told) return;
    told = true;
    tell();
  };
  readable.on('end', () => once(() => onEnd?.()));
  if (onError !== undefined) readable.on('error', (error) => once(() => onError(error)));
  readable.on('close', () => once(() => onEnd?.()));
  return readable;
}
