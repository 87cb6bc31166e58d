import { expect, test } from 'vitest';
import { check } from './check.ts';
import type { Entry, Step } from './entries.ts';

/**
 * A transaction as one line: its name, when it began and ended, what it did, and what its caller heard
 * where that is not that it is stored. `x+1` puts 1 at the end of the list x, `x=1,2` reads it.
 */
function entry(line: string): Entry {
  const [name = '', start, end, ...words] = line.split(' ');
  const outcome = ['refused', 'unknown'].includes(words.at(-1) ?? '') ? words.pop() : 'stored';
  const steps = words.map((word): Step => {
    const key = word.charCodeAt(0);
    const rest = word.slice(2);
    if (word[1] === '+') return { do: 'append', key, value: Number(rest) };
    return { do: 'read', key, list: rest === '' ? [] : rest.split(',').map(Number) };
  });
  return {
    ...{ name, start: Number(start), end: Number(end), steps },
    outcome: outcome as Entry['outcome'],
  };
}

function checked(lines: readonly string[], final: string) {
  const lists = final.split(' ').map((word): [number, number[]] => {
    const list = word.slice(2);
    return [word.charCodeAt(0), list === '' ? [] : list.split(',').map(Number)];
  });
  return check(lines.map(entry), new Map(lists));
}

test.each<[what: string, lines: string[], final: string]>([
  ['one after the other', ['A 1 2 x+1', 'B 3 4 x=1 x+2', 'C 5 6 x=1,2'], 'x=1,2'],
  ['at once, in some order', ['A 1 9 x+1', 'B 1 9 x+2', 'C 1 9 x=2', 'D 1 9 x='], 'x=2,1'],
  ['what a transaction wrote, it reads', ['A 1 2 x+1 x=1 x+2 x=1,2'], 'x=1,2'],
  ['a snapshot of two lists', ['A 1 9 x+1 y+2', 'B 1 9 x=1 y=2', 'C 1 9 x= y='], 'x=1 y=2'],
  ['what was refused is nowhere', ['A 1 2 x+1 refused', 'B 3 4 x= x+2'], 'x=2'],
  ['what nobody knows may be stored', ['A 1 2 x+1 unknown', 'B 3 4 x=', 'C 5 6 x=1'], 'x=1'],
  ['what nobody knows may be lost', ['A 1 2 x+1 unknown', 'B 3 4 x='], 'x='],
  ['what a refused one read does not count', ['A 1 2 x+1', 'B 3 4 x= y+2 refused'], 'x=1 y='],
])('nothing is wrong where all goes well: %s', (_, lines, final) => {
  expect(checked(lines, final).anomalies).toEqual([]);
});

test.each<[name: string, lines: string[], final: string]>([
  ['G0', ['A 1 9 x+1 y+3', 'B 1 9 x+2 y+4'], 'x=1,2 y=4,3'],
  ['G1a', ['A 1 9 x+1 refused', 'B 1 9 x=1'], 'x='],
  ['G1a', ['A 1 9 x+1 refused'], 'x=1'],
  ['G1a', ['A 1 9 x+1 unknown', 'B 1 9 x=1'], 'x='],
  ['G1b', ['A 1 9 x+1 x+2', 'B 1 9 x=1'], 'x=1,2'],
  ['G1c', ['A 1 9 x+1 y=2', 'B 1 9 y+2 x=1'], 'x=1 y=2'],
  ['lost update', ['A 1 9 x= x+1', 'B 1 9 x= x+2'], 'x=1,2'],
  ['read skew', ['A 1 9 x+1 y+2', 'B 1 9 x=1 y='], 'x=1 y=2'],
  ['read skew', ['A 1 9 x+1', 'B 1 9 x=1 y+2', 'C 1 9 x= y=2'], 'x=1 y=2'],
  ['write skew', ['A 1 9 x= y= x+1', 'B 1 9 x= y= y+2'], 'x=1 y=2'],
  ['write skew', ['A 1 9 x+1', 'B 1 9 y+2', 'C 1 9 x=1 y=', 'D 1 9 x= y=2'], 'x=1 y=2'],
  ['stale read', ['A 1 2 x+1', 'B 3 4 x='], 'x=1'],
  ['stale read', ['A 1 2 x+1', 'B 3 4 y=', 'C 5 6 x='], 'x=1 y='],
  ['read of the future', ['A 1 2 x=1', 'B 3 4 x+1'], 'x=1'],
  ['write of the past', ['A 1 2 x+1', 'B 3 4 x+2'], 'x=2,1'],
  ['lost', ['A 1 2 x+1'], 'x='],
  ['lost', ['A 1 2 x+1 y+2 unknown'], 'x=1 y='],
  ['twice', ['A 1 2 x+1'], 'x=1,1'],
  ['nobody', ['A 1 2 x+1'], 'x=1,7'],
  ['nobody', ['A 1 2 x=7'], 'x='],
  ['own', ['A 1 2 x+1 x='], 'x=1'],
  ['order', ['A 1 9 x+1', 'B 1 9 x+2', 'C 1 9 x=2,1'], 'x=1,2'],
])('%s is found in %j, %s', (name, lines, final) => {
  expect(checked(lines, final).anomalies.map((each) => each.name)).toEqual([name]);
});

test('who takes part in a circle is named, and over which list', () => {
  const [found] = checked(['A 1 9 x= x+1', 'B 1 9 x= x+2'], 'x=1,2').anomalies;
  expect(found?.text).toBe('B -rw 120-> A, A -ww 120-> B');
});

test('each knot is told once, and a long history is looked at in no time', () => {
  const lines: string[] = [];
  const list: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    // Eight at a time.
    const from = Math.floor(i / 8) * 10;
    if (i % 2 === 0) list.push(i);
    lines.push(`T${i} ${from} ${from + 9} ${i % 2 === 0 ? `x+${i}` : 'y='}`);
  }
  lines.push('A 1000000 1000001 y=', 'B 1000002 1000003 x=');
  const { anomalies, edges } = checked(lines, `x=${list} y=`);
  expect(anomalies.map(({ name }) => name)).toEqual(['stale read']);
  expect(edges.time).toBeLessThan(20_000 * 17);
});
