import * as drizzle from 'drizzle-orm';
import type { SelectedFieldsOrdered } from 'drizzle-orm/sqlite-core';

type MapResultRow = (
  fields: SelectedFieldsOrdered,
  row: unknown[],
  joinsNotNullable: Record<string, boolean> | undefined,
) => unknown;

/** Drizzle's own, as all its drivers use it: its declarations leave it out. */
export const { mapResultRow } = drizzle as unknown as { mapResultRow: MapResultRow };
