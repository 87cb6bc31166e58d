import type { Anomaly, Entry, Final, Step } from './entries.ts';
import { type Edge, Graph } from './graph.ts';

/** What a check found, and how much there was to look at. */
export interface Checked {
  readonly anomalies: Anomaly[];
  /** Edges by their kind. */
  readonly edges: Record<Edge['kind'], number>;
}

/**
 * Whether a history is one that could have happened if its transactions had run one after the other, each
 * at some moment between its call and its answer. Lists tell in which order they were written: what
 * was read is their beginning. So it is known what must come before what, and where that goes in a circle,
 * something was seen that must not be. (Kingsbury and Alvaro, Elle: https://arxiv.org/abs/2003.10554)
 */
export function check(history: readonly Entry[], final: Final): Checked {
  const checker = new Checker(history, final);
  checker.lists();
  checker.reads();
  checker.times();
  return { anomalies: [...checker.anomalies, ...checker.circles()], edges: checker.edges };
}

class Checker {
  readonly anomalies: Anomaly[] = [];
  readonly edges = { ww: 0, wr: 0, rw: 0, time: 0 };
  readonly #final: Final;
  readonly #history: readonly Entry[];
  /** Who wrote a value: a place in the history. */
  readonly #writers = new Map<number, number>();
  /** The values that a transaction put at the end of a list last, by `place key`. */
  readonly #last = new Map<string, number>();
  readonly #graph: Graph;
  /** Whose effects count: what is stored, and what turned out to be. */
  readonly #counts: boolean[];

  constructor(history: readonly Entry[], final: Final) {
    this.#history = history;
    this.#final = final;
    this.#graph = new Graph(history.length);
    const stored = new Set([...final.values()].flat());
    this.#counts = history.map(({ outcome, steps }) => {
      if (outcome !== 'unknown') return outcome === 'stored';
      return steps.some((step) => step.do === 'append' && stored.has(step.value));
    });
    history.forEach(({ steps }, place) => {
      for (const step of steps) {
        if (step.do !== 'append') continue;
        this.#writers.set(step.value, place);
        this.#last.set(`${place} ${step.key}`, step.value);
      }
    });
  }

  #found(name: string, text: string): void {
    this.anomalies.push({ name, text });
  }

  #name(place: number): string {
    return (this.#history[place] as Entry).name;
  }

  #add(edge: Edge): void {
    if (edge.from === edge.to) return;
    this.edges[edge.kind]++;
    this.#graph.add(edge);
  }

  /** What is stored: each value once, of those who were told so, all that they wrote. */
  lists(): void {
    const seen = new Set<number>();
    for (const [key, list] of this.#final) {
      let before: number | undefined;
      for (const value of list) {
        const writer = this.#writers.get(value);
        if (seen.has(value)) this.#found('twice', `${value} is stored twice`);
        seen.add(value);
        if (writer === undefined) this.#found('nobody', `nobody wrote ${value} of list ${key}`);
        else if ((this.#history[writer] as Entry).outcome === 'refused') {
          this.#found('G1a', `${this.#name(writer)} was refused, and its ${value} is stored`);
        } else {
          if (before !== undefined) this.#add({ from: before, to: writer, kind: 'ww', key });
          before = writer;
        }
      }
    }
    this.#history.forEach(({ steps }, place) => {
      if (!this.#counts[place]) return;
      for (const step of steps) {
        if (step.do === 'append' && !seen.has(step.value)) {
          this.#found('lost', `${this.#name(place)} wrote ${step.value}, which is not stored`);
        }
      }
    });
  }

  /** What was read: by whom it was written, and who wrote next. */
  reads(): void {
    this.#history.forEach(({ steps }, place) => {
      if (!this.#counts[place]) return;
      const own = new Map<number, number[]>();
      for (const step of steps) {
        if (step.do === 'append') own.set(step.key, [...(own.get(step.key) ?? []), step.value]);
        else this.#read(place, step, own.get(step.key) ?? []);
      }
    });
  }

  #read(place: number, { key, list }: Step & { do: 'read' }, own: readonly number[]): void {
    const name = this.#name(place);
    const final = this.#final.get(key) ?? [];
    for (const value of list) {
      const writer = this.#writers.get(value);
      if (writer === undefined) return this.#found('nobody', `${name} read ${value} of nobody`);
      if (writer !== place && !this.#counts[writer]) {
        return this.#found('G1a', `${name} read ${value}, which ${this.#name(writer)} took back`);
      }
    }
    if (own.some((value, i) => list[list.length - own.length + i] !== value)) {
      return this.#found('own', `${name} read ${list} of list ${key}, behind its own ${own}`);
    }
    // What others had written by then.
    const others = list.slice(0, list.length - own.length);
    const value = others.at(-1);
    if (value !== undefined) {
      const from = this.#writers.get(value) as number;
      const last = this.#last.get(`${from} ${key}`);
      if (from !== place && last !== value) {
        return this.#found(
          'G1b',
          `${name} read ${value} of ${this.#name(from)}, before its ${last}`,
        );
      }
      this.#add({ from, to: place, kind: 'wr', key });
    }
    if (list.some((each, i) => final[i] !== each)) {
      return this.#found('order', `${name} read ${list} of list ${key}, which is ${final}`);
    }
    const next = final[others.length];
    const to = next === undefined ? undefined : this.#writers.get(next);
    if (to !== undefined) this.#add({ from: place, to, kind: 'rw', key });
  }

  /**
   * Who was answered before another was called comes before it. Only the last of those who were answered are
   * remembered: who came before them comes before all others by way of them.
   */
  times(): void {
    const places = this.#history.map((_, place) => place).filter((place) => this.#counts[place]);
    const start = (place: number) => (this.#history[place] as Entry).start;
    const end = (place: number) => {
      const entry = this.#history[place] as Entry;
      return entry.outcome === 'stored' ? entry.end : Number.POSITIVE_INFINITY;
    };
    const called = places.toSorted((a, b) => start(a) - start(b));
    const answered = places.toSorted((a, b) => end(a) - end(b));
    let border: number[] = [];
    let next = 0;
    for (const to of called) {
      for (; next < answered.length && end(answered[next] as number) < start(to); next++) {
        const fresh = answered[next] as number;
        border = border.filter((place) => end(place) >= start(fresh));
        border.push(fresh);
      }
      for (const from of border) this.#add({ from, to, kind: 'time' });
    }
  }

  /** The worst circle of each knot: those of few kinds of edges are worse. */
  circles(): Anomaly[] {
    return this.#graph
      .knots(() => true)
      .map((knot) => {
        const members = new Set(knot);
        const circle = this.#circle(members, false) ?? this.#circle(members, true);
        if (circle === undefined) throw new Error('a knot without a circle');
        return { name: this.#kind(circle), text: this.#told(circle) };
      });
  }

  /** A circle with as few `rw` edges as there must be, with or without the order in time. */
  #circle(members: ReadonlySet<number>, timed: boolean): Edge[] | undefined {
    const inside = ({ from, to, kind }: Edge) =>
      members.has(from) && members.has(to) && (timed || kind !== 'time');
    const writes = (edge: Edge) => inside(edge) && (edge.kind === 'ww' || edge.kind === 'time');
    const noReadBefore = (edge: Edge) => inside(edge) && edge.kind !== 'rw';
    for (const follow of [writes, noReadBefore]) {
      const [knot] = this.#graph.knots(follow);
      const [member] = knot ?? [];
      if (member !== undefined) return this.#graph.way(member, member, follow);
    }
    const before = this.#graph.edges((edge) => inside(edge) && edge.kind === 'rw');
    for (const follow of [noReadBefore, inside]) {
      for (const edge of before) {
        const way = this.#graph.way(edge.to, edge.from, follow);
        if (way !== undefined) return [edge, ...way];
      }
    }
    return undefined;
  }

  #kind(circle: readonly Edge[]): string {
    const has = (kind: Edge['kind']) => circle.filter((edge) => edge.kind === kind).length;
    const isTimed = has('time') > 0;
    if (has('rw') > 1) return isTimed ? 'write skew in time' : 'write skew';
    if (has('rw') === 1) {
      if (isTimed) return 'stale read';
      const oneList = circle.every(({ key }) => key === circle[0]?.key);
      return oneList && has('wr') === 0 ? 'lost update' : 'read skew';
    }
    if (has('wr') > 0) return isTimed ? 'read of the future' : 'G1c';
    return isTimed ? 'write of the past' : 'G0';
  }

  #told(circle: readonly Edge[]): string {
    return circle
      .map(({ from, to, kind, key }) => {
        const list = key === undefined ? '' : ` ${key}`;
        return `${this.#name(from)} -${kind}${list}-> ${this.#name(to)}`;
      })
      .join(', ');
  }
}
