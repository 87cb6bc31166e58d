/** A count that takes a minute and more on any machine. */
export const ENDLESS = `
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000)
  SELECT count(*) AS n FROM c`;

/** Rows without an end, as far as any test goes. */
export const ENDLESS_ROWS = `
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000)
  SELECT n FROM c WHERE n % 10 = 0`;
