import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Bucket, BucketError, MOST_KEYS } from '../../src/bucket.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array | undefined) => body && new TextDecoder().decode(body);

/** What size a contract test of it may have. */
export interface ContractSize {
  /** Races of creates, and how many take part in each. */
  races: number;
  contenders: number;
  /** The bytes of the largest object. */
  largest: number;
  /** Whether more keys are made than one page of a listing has. */
  pages: boolean;
}

/** What every bucket must do; `make` gives handles on one and the same empty bucket. */
export function bucketContract(
  name: string,
  make: () => Promise<() => Bucket>,
  size: ContractSize,
): void {
  describe(`${name}, as a bucket,`, () => {
    test('gives what was stored, byte for byte, and undefined where nothing was', async () => {
      const bucket = (await make())();
      const body = new Uint8Array(randomBytes(1000));
      expect(await bucket.get('log/1')).toBeUndefined();
      expect(await bucket.create('log/1', body)).toBe('created');
      expect(new Uint8Array((await bucket.get('log/1')) as Uint8Array)).toEqual(body);
      await bucket.put('other', new Uint8Array());
      expect(await bucket.get('other')).toHaveLength(0);
      expect(await bucket.get('log')).toBeUndefined();
      expect(await bucket.get('log/1/2')).toBeUndefined();
    });

    test('creates an object once, and leaves it as it is', async () => {
      const open = await make();
      const bucket = open();
      expect(await bucket.create('log/1', bytes('first'))).toBe('created');
      expect(await bucket.create('log/1', bytes('second'))).toBe('exists');
      expect(await open().create('log/1', bytes('third'))).toBe('exists');
      expect(text(await bucket.get('log/1'))).toBe('first');
    });

    test('replaces an object, also one that was created, and creates none in its place', async () => {
      const bucket = (await make())();
      await bucket.create('log/1', bytes('first'));
      await bucket.put('log/1', bytes('second'));
      expect(text(await bucket.get('log/1'))).toBe('second');
      await bucket.put('log/1', bytes('third'));
      expect(text(await bucket.get('log/1'))).toBe('third');
      expect(await bucket.create('log/1', bytes('fourth'))).toBe('exists');
      await bucket.put('log/2', bytes('put first'));
      expect(await bucket.create('log/2', bytes('created'))).toBe('exists');
      expect(text(await bucket.get('log/2'))).toBe('put first');
    });

    test('removes an object, and nothing where none is; what was removed can be created', async () => {
      const bucket = (await make())();
      await bucket.remove('log/1');
      await bucket.create('log/1', bytes('first'));
      await bucket.remove('log/1');
      expect(await bucket.get('log/1')).toBeUndefined();
      expect(await bucket.list('')).toEqual([]);
      expect(await bucket.create('log/1', bytes('second'))).toBe('created');
    });

    test('lists keys by their beginning, in order, from behind a key', async () => {
      const bucket = (await make())();
      expect(await bucket.list('log/')).toEqual([]);
      for (const key of ['log/10', 'log/2', 'log/1', 'log-1', 'logs/1', 'other', 'a/b/c']) {
        await bucket.put(key, bytes(key));
      }
      const all = ['a/b/c', 'log-1', 'log/1', 'log/10', 'log/2', 'logs/1', 'other'];
      expect(await bucket.list('')).toEqual(all);
      expect(await bucket.list('log/')).toEqual(['log/1', 'log/10', 'log/2']);
      expect(await bucket.list('log/1')).toEqual(['log/1', 'log/10']);
      expect(await bucket.list('log')).toEqual(all.slice(1, 6));
      expect(await bucket.list('log/', 'log/1')).toEqual(['log/10', 'log/2']);
      expect(await bucket.list('log/', 'log/11')).toEqual(['log/2']);
      expect(await bucket.list('log/', 'log/2')).toEqual([]);
      expect(await bucket.list('nothing/')).toEqual([]);
    });

    test.runIf(size.pages)('lists at most a page of keys at once', async () => {
      const bucket = (await make())();
      const keys = Array.from({ length: MOST_KEYS + 5 }, (_, n) => `log/${10_000 + n}`);
      for (let at = 0; at < keys.length; at += 50) {
        const some = keys.slice(at, at + 50);
        await Promise.all(some.map((key) => bucket.put(key, bytes(key))));
      }
      const page = await bucket.list('log/');
      expect(page).toEqual(keys.slice(0, MOST_KEYS));
      expect(await bucket.list('log/', page.at(-1))).toEqual(keys.slice(MOST_KEYS));
    });

    test('keeps large objects', async () => {
      const bucket = (await make())();
      const body = new Uint8Array(size.largest);
      for (let at = 0; at < body.length; at += 1000) body[at] = at % 251;
      await bucket.create('segments/1', body);
      const back = (await bucket.get('segments/1')) as Uint8Array;
      expect(Buffer.compare(back, body)).toBe(0);
    });

    test.each([
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '..',
      'a/../b',
      './a',
      '.tmp/x',
      'a\\b',
      'a b',
      'ä',
      'a\n',
    ])('refuses the key %j, which certainly has no effect', async (key) => {
      const bucket = (await make())();
      for (const attempt of [
        () => bucket.get(key),
        () => bucket.create(key, bytes('x')),
        () => bucket.put(key, bytes('x')),
        () => bucket.remove(key),
      ]) {
        const error = await attempt().then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(BucketError);
        expect(error).toMatchObject({ definite: true });
        expect((error as Error).message).toContain(bucket.where);
      }
    });

    test('has one winner of those that create at once, and keeps what the winner stored', async () => {
      const open = await make();
      for (let race = 0; race < size.races; race++) {
        const key = `log/${race}`;
        const results = await Promise.all(
          Array.from({ length: size.contenders }, async (_, contender) => {
            const own = `${contender} ${randomUUID()}`;
            return { own, result: await open().create(key, bytes(own)) };
          }),
        );
        const winners = results.filter(({ result }) => result === 'created');
        expect(winners, `race ${race}`).toHaveLength(1);
        expect(text(await open().get(key))).toBe(winners[0]?.own);
      }
    });

    test('shows no half of an object that is replaced while it is read', async () => {
      const open = await make();
      const [writer, reader] = [open(), open()];
      const body = (n: number) => new Uint8Array(50_000).fill(n);
      await writer.put('log/1', body(0));
      let going = true;
      const writing = (async () => {
        for (let n = 1; n <= 20; n++) await writer.put('log/1', body(n));
        going = false;
      })();
      while (going) {
        const seen = (await reader.get('log/1')) as Uint8Array;
        expect(seen).toHaveLength(50_000);
        expect(new Set(seen).size).toBe(1);
      }
      await writing;
    });
  });
}
