import type { Report } from '../chaos/report.ts';
import type { Look } from './plans.ts';
import type { Line, Outcome, Told } from './told.ts';

/** A write that is in the log. */
export interface Written {
  /** Its request; `id/2` where what runs again names itself anew each time. */
  id: string;
  entry: number;
}

interface Found {
  /** In the order in which they took effect. */
  written: readonly Written[];
  states: readonly { entry: number; look: Look }[];
  told: readonly Told[];
}

/** A request, as its caller saw it, and where it is in the log. */
interface Asked {
  readonly member: string;
  /** When it was asked for first. */
  readonly from: number;
  /** When its caller first heard that it is stored. */
  stored: number;
  /** How often it was asked for, and what was heard: less where the caller died. */
  asked: number;
  readonly outcomes: Outcome[];
  result: unknown;
  /** Its places among all that was written. */
  readonly places: number[];
}

/** The request of a write: what runs again may have put its number behind it. */
export function requestOf(id: string): string {
  return id.split('/')[0] as string;
}

/** Compares what was answered, and what was read beside writes, with the log. */
export function checkAnswers(found: Found, report: Report): void {
  const asked = gathered(found.told, report);
  found.written.forEach(({ id }, place) => {
    const request = asked.get(requestOf(id));
    if (request === undefined) report.expect(false, () => `nobody asked for ${id}, in the log`);
    else request.places.push(place);
  });
  for (const [id, request] of asked) checkOutcome(id, request, found.written, report);
  checkTimes(asked, report);
  checkLooks(found, asked, report);
}

function gathered(told: readonly Told[], report: Report): Map<string, Asked> {
  const asked = new Map<string, Asked>();
  for (const { member, lines } of told) {
    for (const line of lines) gather(member, line, asked, report);
  }
  return asked;
}

function gather(member: string, line: Line, asked: Map<string, Asked>, report: Report): void {
  if (line.say === 'ask') {
    const { id, at } = line;
    const known = asked.get(id);
    if (known !== undefined) known.asked++;
    else {
      const stored = Number.POSITIVE_INFINITY;
      const rest = { outcomes: [], result: undefined, places: [] };
      asked.set(id, { member, from: at, stored, asked: 1, ...rest });
    }
  } else if (line.say === 'answer') {
    const request = asked.get(line.id) as Asked;
    request.outcomes.push(line.outcome);
    const { code } = line;
    report.count(code === undefined ? line.outcome : `${line.outcome} ${code}`);
    if (line.outcome !== 'ok') return;
    const isFirst = request.stored === Number.POSITIVE_INFINITY;
    request.stored = Math.min(request.stored, line.at);
    const [one, other] = [request.result, line.result].map((each) => JSON.stringify(each));
    report.expect(isFirst || one === other, () => `${line.id} had ${one}, and then ${other}`);
    request.result = line.result;
  } else if (line.say === 'quarantine') {
    report.count('quarantines');
    report.expect(false, () => `the replica of ${member} was unsound: ${line.reason}`);
  } else if (line.say === 'wrong') {
    report.expect(false, () => `${member}: ${line.text}`);
  } else if (line.say === 'harm') report.count(`harm: ${line.point}`);
}

/** What its caller was told of a request is so. */
function checkOutcome(id: string, request: Asked, written: readonly Written[], report: Report) {
  const { outcomes, places, asked } = request;
  const where = places.map((place) => written[place]?.entry).join(', ');
  report.expect(places.length <= 1, () => `${id} is in the log ${places.length} times: ${where}`);
  if (outcomes.includes('ok')) {
    report.expect(places.length > 0, () => `${id} was acknowledged, and is not in the log`);
    return;
  }
  const isKnown = outcomes.length === asked && !outcomes.includes('unknown');
  if (!isKnown) report.count(places.length > 0 ? 'stored all the same' : 'not stored');
  else report.expect(places.length === 0, () => `${id} has failed, and is in the log: ${where}`);
}

/** Who was answered before another was called comes before it. */
function checkTimes(asked: ReadonlyMap<string, Asked>, report: Report): void {
  const inOrder = [...asked]
    .filter(([, { places }]) => places.length > 0)
    .sort(([, a], [, b]) => (a.places[0] as number) - (b.places[0] as number));
  let earliest: [string, Asked] | undefined;
  for (const each of inOrder.reverse()) {
    const [id, { from, stored }] = each;
    const [other, later] = earliest ?? each;
    report.expect(
      later.stored >= from,
      () => `${id} comes before ${other}, which was answered before ${id} was asked for`,
    );
    if (stored < later.stored || earliest === undefined) earliest = each;
  }
}

/** What was read is a state of the log: one that its reader may see. */
function checkLooks({ told, states, written }: Found, asked: Map<string, Asked>, report: Report) {
  /** Each state by the last request in it. */
  const byNumber = new Map(states.map((state, i) => [state.look.number, { ...state, i }]));
  const indexOf = new Map(states.map(({ entry }, i) => [entry, i]));
  const all = [...asked.values()]
    .filter(({ places }) => places.length > 0)
    .map((request) => {
      const { entry } = written[request.places[0] as number] as Written;
      return { ...request, index: indexOf.get(entry) ?? -1 };
    });
  /** When the last of all requests up to a state was asked for. */
  const called: number[] = states.map(() => 0);
  for (const { index, from } of all) {
    if (index >= 0) called[index] = Math.max(called[index] as number, from);
  }
  called.forEach((time, i) => {
    called[i] = Math.max(time, called[i - 1] ?? 0);
  });
  const heardByAll = new Highest(all);
  for (const { member, lines } of told) {
    const own = new Highest(all.filter((each) => each.member === member));
    const seen = new Highest([]);
    for (const line of lines) {
      if (line.say !== 'look') continue;
      report.count(line.fresh ? 'fresh reads' : 'reads');
      const { look, from, fresh, at } = line;
      const state = byNumber.get(look.number);
      const text = JSON.stringify(look);
      const is = state === undefined ? undefined : JSON.stringify(state.look);
      report.expect(is === text, () => `${member} has read ${text}, which never was: ${is}`);
      if (state === undefined) continue;
      const least = Math.max(own.by(from), seen.by(from), fresh ? heardByAll.by(from) : -1);
      report.expect(
        state.i >= least,
        () => `${member} has read state ${state.i} after ${least}${fresh ? ', fresh' : ''}`,
      );
      const isOfThen = (called[state.i] as number) <= at;
      report.expect(isOfThen, () => `${member} has read what was asked for later`);
      seen.add({ stored: at, index: state.i });
    }
  }
}

/** The newest state that had been heard of by a time. */
class Highest {
  readonly #times: number[] = [];
  readonly #highest: number[] = [];

  constructor(heard: readonly { stored: number; index: number }[]) {
    for (const each of heard.toSorted((a, b) => a.stored - b.stored)) this.add(each);
  }

  /** One that was heard of later than all others. */
  add({ stored, index }: { stored: number; index: number }): void {
    this.#times.push(stored);
    this.#highest.push(Math.max(index, this.#highest.at(-1) ?? -1));
  }

  by(time: number): number {
    let [low, high] = [0, this.#times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[middle] as number) < time) low = middle + 1;
      else high = middle;
    }
    return this.#highest[low - 1] ?? -1;
  }
}
