const WIDTHS = [44, 18, 18] as const;

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 });

export function count(value: number): string {
  return whole.format(value);
}

export function rate(value: number, seconds: number): string {
  return `${whole.format(value / seconds)}/s`;
}

export function ms(value: number): string {
  return `${value < 100 ? exact.format(value) : whole.format(value)} ms`;
}

/** A heading, which names the columns. */
export function heading(text: string, other = 'better-sqlite3'): void {
  console.log(`\n${row([text, 'poolite', other])}`);
}

export function line(what: string, pool: string, plain = ''): void {
  console.log(row([`  ${what}`, pool, plain]));
}

function row([what, pool, plain]: readonly [string, string, string]): string {
  const cells = [what.padEnd(WIDTHS[0]), pool.padStart(WIDTHS[1]), plain.padStart(WIDTHS[2])];
  return cells.join('').trimEnd();
}
