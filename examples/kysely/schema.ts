import type { ColumnType, Generated } from 'kysely';

/** An account of a small bank. */
export interface AccountTable {
  id: Generated<number>;
  owner: string;
  cents: number;
}

/** What was moved from one account to another. */
export interface TransferTable {
  id: Generated<number>;
  sender: number;
  receiver: number;
  cents: number;
  at: ColumnType<string, never, never>;
}

export interface Bank {
  account: AccountTable;
  transfer: TransferTable;
}
