/** What a fault did, and what came of it. */
export class Report {
  /** What was done, and how often. */
  readonly counts: Record<string, number> = {};
  /** Everything that must not be. */
  readonly wrong: string[] = [];
  /** Why the fault cannot be brought about here. */
  skipped: string | undefined;

  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  /** What must not be, where it is. */
  expect(holds: boolean, otherwise: () => string): void {
    // Who reads it wants the first of them: the others are mostly its consequences.
    if (!holds && this.wrong.length < 20) this.wrong.push(otherwise());
  }

  /** What was never done proves nothing. */
  fired(...all: readonly string[]): void {
    for (const what of all) this.expect((this.counts[what] ?? 0) > 0, () => `never: ${what}`);
  }

  add({ counts, wrong }: Report, prefix = ''): void {
    for (const [what, times] of Object.entries(counts)) this.count(prefix + what, times);
    for (const each of wrong) this.expect(false, () => prefix + each);
  }
}

/** How long a fault is tried, and what decides its moments. */
export interface Tries {
  rounds: number;
  seed: number;
}
