import {
  EntitySchema,
  type EntitySubscriberInterface,
  type InsertEvent,
  QueryFailedError,
} from 'typeorm';
import { expect, test } from 'vitest';
import { openSource } from './support/db.ts';

interface Note {
  id: number;
  name: string;
}

/** Nothing of it is filled by the database, which would be one more statement for each save. */
const Note = new EntitySchema<Note>({
  name: 'Note',
  tableName: 'note',
  columns: {
    id: { type: 'integer', primary: true, generated: true },
    name: { type: 'varchar', unique: true },
  },
});

const ROUNDS = 6;
const SAVES = 48;

test('saves of many at once keep to themselves, whatever each does behind its INSERT', async () => {
  const source = await openSource({ entities: [Note] });
  const seen = new Map<string, unknown>();
  const asks: EntitySubscriberInterface<Note> = {
    afterInsert: async ({ entity, queryRunner }: InsertEvent<Note>) => {
      if (entity.name.startsWith('asks')) {
        const sql =
          'SELECT last_insert_rowid() AS id, changes() AS changed, max(id) AS last FROM note';
        seen.set(entity.name, (await queryRunner.query(sql))[0]);
      }
      if (entity.name.startsWith('fails')) throw new Error(entity.name);
    },
  };
  const notes = source.getRepository(Note);
  for (let round = 0; round < ROUNDS; round++) {
    // Most end behind their INSERT, so that others run ahead; all kinds meet.
    const kinds = Array.from({ length: SAVES }, (_, n) => {
      if (n % 16 === 7) return 'asks';
      if (n % 16 === 11) return 'fails';
      return n % 16 === 13 ? 'again' : 'plain';
    });
    source.subscribers.push(asks);
    const saves = kinds.map((kind, n) =>
      notes.save({ name: kind === 'again' ? 'one' : `${kind} ${round} ${n}` }),
    );
    const ends = await Promise.allSettled(saves);
    source.subscribers.pop();
    for (const [n, end] of ends.entries()) {
      const kind = kinds[n];
      if (kind === 'fails') {
        expect(end).toMatchObject({ reason: new Error(`fails ${round} ${n}`) });
      } else if (kind === 'again' && end.status === 'rejected') {
        expect(end.reason).toBeInstanceOf(QueryFailedError);
      } else {
        const { id, name } = (end as PromiseFulfilledResult<Note>).value;
        expect(await notes.findOneBy({ id })).toEqual({ id, name });
        if (kind === 'asks') expect(seen.get(name)).toEqual({ id, changed: 1, last: id });
      }
    }
  }
  const stored = await notes.find();
  const plain = stored.filter(({ name }) => name.startsWith('plain'));
  expect(plain).toHaveLength(ROUNDS * ((SAVES / 16) * 13));
  expect(stored.filter(({ name }) => name.startsWith('fails'))).toEqual([]);
  expect(stored.filter(({ name }) => name === 'one')).toHaveLength(1);
});
