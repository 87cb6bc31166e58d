import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

/**
 * Names the tests that failed at first, and closes a run with `N passed, N failed[, N skipped]` alone on a line, after everything else that
 * Vitest prints, for CI to read. A file that could not be loaded and an error outside any test
 * each count as one failure: neither has a test of its own that could fail.
 */
export default class ClosingLine implements Reporter {
  #text = '';

  onInit(vitest: Vitest): void {
    if (!vitest.config.watch) process.once('exit', () => process.stdout.write(this.#text));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const flaky: string[] = [];
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (test.diagnostic()?.flaky) flaky.push(`${module.moduleId}: ${test.fullName}`);
        count[state === 'pending' ? 'failed' : state] += 1;
      }
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    const tries = flaky.map((name) => `\npassed on the second try only: ${name}`).join('');
    this.#text = `${tries}\n${count.passed} passed, ${count.failed} failed${skipped}\n`;
  }
}
