/** Why one transaction must come before another. */
export interface Edge {
  readonly from: number;
  readonly to: number;
  /**
   * `ww`: it wrote before it. `wr`: the other read what it wrote. `rw`: it read what was there before the
   * other wrote. `time`: it was answered before the other was called.
   */
  readonly kind: 'ww' | 'wr' | 'rw' | 'time';
  /** Of which list; none for `time`. */
  readonly key?: number;
}

type Follow = (edge: Edge) => boolean;

/** The transactions of a history, and what must come before what. */
export class Graph {
  readonly size: number;
  readonly #out: Edge[][];

  constructor(size: number) {
    this.size = size;
    this.#out = Array.from({ length: size }, () => []);
  }

  add(edge: Edge): void {
    if (edge.from !== edge.to) this.#out[edge.from]?.push(edge);
  }

  edges(follow: Follow): Edge[] {
    return this.#out.flatMap((edges) => edges.filter(follow));
  }

  /** A shortest way from one to another, over such edges. */
  way(from: number, to: number, follow: Follow): Edge[] | undefined {
    const cameBy = new Map<number, Edge>();
    let border = [from];
    while (border.length > 0) {
      const next: number[] = [];
      for (const at of border) {
        for (const edge of this.#out[at] as Edge[]) {
          if (!follow(edge) || cameBy.has(edge.to)) continue;
          cameBy.set(edge.to, edge);
          if (edge.to === to) return this.#back(cameBy, from, edge);
          next.push(edge.to);
        }
      }
      border = next;
    }
    return undefined;
  }

  #back(cameBy: ReadonlyMap<number, Edge>, from: number, last: Edge): Edge[] {
    const way = [last];
    for (let edge = last; edge.from !== from; ) {
      edge = cameBy.get(edge.from) as Edge;
      way.unshift(edge);
    }
    return way;
  }

  /**
   * The sets of transactions of which each must come before each other: Tarjan's strongly connected
   * components with more than one member, without recursion, since histories are long.
   */
  knots(follow: Follow): number[][] {
    const found: number[][] = [];
    const order = new Int32Array(this.size).fill(-1);
    const low = new Int32Array(this.size);
    const onStack = new Uint8Array(this.size);
    const stack: number[] = [];
    let count = 0;
    for (let root = 0; root < this.size; root++) {
      if (order[root] !== -1) continue;
      const path: { at: number; next: number }[] = [{ at: root, next: 0 }];
      while (path.length > 0) {
        const step = path.at(-1) as { at: number; next: number };
        const { at } = step;
        if (step.next === 0) {
          order[at] = count;
          low[at] = count++;
          stack.push(at);
          onStack[at] = 1;
        }
        const edge = this.#out[at]?.[step.next++];
        if (edge !== undefined) {
          if (!follow(edge)) continue;
          if (order[edge.to] === -1) path.push({ at: edge.to, next: 0 });
          else if (onStack[edge.to] === 1) low[at] = Math.min(num(low[at]), num(order[edge.to]));
          continue;
        }
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) low[parent.at] = Math.min(num(low[parent.at]), num(low[at]));
        if (low[at] !== order[at]) continue;
        const knot: number[] = [];
        for (let member = -1; member !== at; ) {
          member = stack.pop() as number;
          onStack[member] = 0;
          knot.push(member);
        }
        if (knot.length > 1) found.push(knot);
      }
    }
    return found;
  }
}

function num(value: number | undefined): number {
  return value as number;
}
