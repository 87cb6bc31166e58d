import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Accounts1767225600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "account" (
        "id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
        "owner" varchar NOT NULL UNIQUE,
        "cents" integer NOT NULL CHECK ("cents" >= 0)
      )`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "account"');
  }
}
