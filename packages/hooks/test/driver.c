/* Opens and closes connections, interrupts them and changes tables from many threads at once: run under
** AddressSanitizer and ThreadSanitizer. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

int sqlite3_poolitehooks_init(sqlite3 *, char **, const void *);

enum { WORKERS = 4, ROUNDS = 25, FUZZED = 3000 };
static int running = WORKERS;
static int stopped = 0;

static void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "failed: %s\n", what);
  abort();
}

static char *text(sqlite3 *db, const char *sql, int *rc) {
  sqlite3_stmt *statement = 0;
  char *result = 0;
  *rc = sqlite3_prepare_v2(db, sql, -1, &statement, 0);
  if (*rc == SQLITE_OK) {
    const unsigned char *value;
    *rc = sqlite3_step(statement);
    value = *rc == SQLITE_ROW ? sqlite3_column_text(statement, 0) : 0;
    if (value) result = strdup((const char *)value);
  }
  sqlite3_finalize(statement);
  return result;
}

static sqlite3 *opened(void) {
  sqlite3 *db;
  check(sqlite3_open(":memory:", &db) == SQLITE_OK, "open");
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  check(sqlite3_exec(db, sql, 0, 0, 0) == SQLITE_OK, sql);
}

static void expect(sqlite3 *db, const char *sql, const char *wanted) {
  int rc;
  char *result = text(db, sql, &rc);
  if (!result || !strstr(result, wanted)) {
    fprintf(stderr, "%s: %s, not %s\n", sql, result ? result : "NULL", wanted);
    abort();
  }
  free(result);
}

/* Works, is interrupted at any moment, and closes. */
static void *work(void *unused) {
  for (int round = 0; round < ROUNDS; round++) {
    sqlite3 *db = opened();
    int rc;
    free(text(db, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000)"
                  " SELECT count(*) FROM c", &rc));
    check(rc == SQLITE_ROW || rc == SQLITE_INTERRUPT, "count");
    if (rc == SQLITE_INTERRUPT) __atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
    check(sqlite3_close(db) == SQLITE_OK, "close");
  }
  __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
  return unused;
}

/* Interrupts every connection that there may be, those too that are being opened and closed. */
static void *interrupt(void *unused) {
  sqlite3 *db = opened();
  sqlite3_stmt *statement;
  check(sqlite3_prepare_v2(db, "SELECT poolite_interrupt(?)", -1, &statement, 0) == SQLITE_OK, "interrupt");
  for (int number = 1; __atomic_load_n(&running, __ATOMIC_SEQ_CST); number = number % 200 + 1) {
    sqlite3_bind_int(statement, 1, number);
    sqlite3_step(statement);
    sqlite3_reset(statement);
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return unused;
}

static void feed(void) {
  static const struct { const char *name; int arguments; } functions[] = {
      {"poolite_connection", 0}, {"poolite_interrupt", 1}, {"poolite_feed", 2},
      {"poolite_changes", 0}, {"poolite_tables", 1},
  };
  sqlite3 *db = opened();
  int rc;
  char *result;
  run(db, "CREATE TABLE a(id INTEGER PRIMARY KEY, b); CREATE TABLE \"q\"\"\\\n\"(x);"
          "CREATE TABLE w(x PRIMARY KEY) WITHOUT ROWID;"
          "CREATE TRIGGER t AFTER DELETE ON a BEGIN INSERT INTO w VALUES (old.id); END;"
          "SELECT poolite_feed(1, 3)");
  run(db, "INSERT INTO a(b) VALUES (1), (2); INSERT INTO \"q\"\"\\\n\" VALUES (1)");
  expect(db, "SELECT poolite_changes()", "\"q\\\"\\\\\\u000a\"");
  run(db, "BEGIN; INSERT INTO a(b) VALUES (3); ROLLBACK");
  result = text(db, "SELECT poolite_changes()", &rc);
  /* Compiled, and undone: nothing of it was committed. */
  check(!result || !strncmp(result, "[0,0,[],", 8), "what was rolled back");
  free(result);
  run(db, "BEGIN; INSERT INTO a(b) VALUES (3); COMMIT");
  expect(db, "SELECT poolite_changes()", "[2,0,[[\"main\",\"a\",2,\"3\"]],");
  expect(db, "SELECT poolite_tables('DELETE FROM a')", "[\"main\",\"w\",2]");
  expect(db, "SELECT poolite_tables('DELETE FROM w')", "[1,");
  for (int i = 0; i < 50; i++) run(db, "INSERT INTO a(b) VALUES (1)");
  expect(db, "SELECT poolite_changes()", "[\"main\",\"a\",10]");
  run(db, "SELECT poolite_feed(1, 0); INSERT INTO a(b) VALUES (9)");
  expect(db, "SELECT poolite_changes()", "[[\"main\",\"a\",2]]");
  run(db, "INSERT INTO a(b) VALUES (9)");
  expect(db, "SELECT poolite_changes()", "[2,0,[[\"main\",\"a\",2]],");
  run(db, "INSERT INTO a(b) VALUES (9); SELECT poolite_feed(0, 0); INSERT INTO a(b) VALUES (9)");
  run(db, "SELECT poolite_feed(1, 1000000000); INSERT INTO a(b) VALUES (9)");
  /* Somebody takes the names: what is behind them goes with the last. */
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    sqlite3_create_function(db, functions[i].name, functions[i].arguments, SQLITE_UTF8, 0, 0, 0, 0);
  }
  run(db, "INSERT INTO a(b) VALUES (9)");
  check(sqlite3_close(db) == SQLITE_OK, "close");
}

/* Any SQL of its functions, with any values, in any order: it may fail, and do nothing else. */
static void fuzz(unsigned seed) {
  static const char *const calls[] = {
      "poolite_connection()", "poolite_interrupt(%s)", "poolite_feed(%s, %s)", "poolite_feed(1, %s)",
      "poolite_changes()", "poolite_tables(%s)",
  };
  static const char *const values[] = {
      "NULL", "0", "1", "-1", "9223372036854775807", "-9223372036854775808", "1e308", "''", "x'00ff'",
      "'main'", "'a'", "'SELECT * FROM a'", "'DELETE FROM a'", "'INSERT INTO w SELECT id FROM a'",
      "'EXPLAIN DELETE FROM a'", "'SELECT poolite_tables(''SELECT 1'')'", "'drop table a'", "'\"'",
      "char(0)", "zeroblob(1000)", "'(((('", "';;'", "poolite_tables('DELETE FROM w')", "poolite_changes()",
  };
  static const char *const others[] = {
      "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "DELETE FROM a",
      "INSERT OR IGNORE INTO w VALUES (random())", "INSERT INTO a(b) SELECT 1 FROM a LIMIT 20",
      "INSERT INTO a VALUES (NULL, 1)", "DELETE FROM w", "CREATE TABLE IF NOT EXISTS z(x)",
      "DROP TABLE IF EXISTS z", "CREATE VIEW IF NOT EXISTS v AS SELECT poolite_changes()",
      "SELECT * FROM v",
  };
#define ANY(list) list[(unsigned)rand_r(&seed) % (sizeof list / sizeof *list)]
  sqlite3 *db = opened();
  run(db, "CREATE TABLE a(id INTEGER PRIMARY KEY, b); CREATE TABLE w(x PRIMARY KEY) WITHOUT ROWID");
  for (int i = 0; i < FUZZED; i++) {
    char sql[500] = "SELECT ";
    if (rand_r(&seed) % 2) {
      const char *one = ANY(values), *two = ANY(values);
      snprintf(sql + 7, sizeof sql - 7, ANY(calls), one, two);
    } else {
      snprintf(sql, sizeof sql, "%s", ANY(others));
    }
    sqlite3_exec(db, sql, 0, 0, 0);
  }
  check(sqlite3_close(db) == SQLITE_OK, "close");
}

int main(int count, char **arguments) {
  pthread_t threads[WORKERS], interrupter;
  unsigned seed = count > 1 ? (unsigned)atol(arguments[1]) : 1;
  sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
  sqlite3_initialize();
  sqlite3_auto_extension((void (*)(void))sqlite3_poolitehooks_init);
  feed();
  for (unsigned i = 0; i < 4; i++) fuzz(seed + i);
  pthread_create(&interrupter, 0, interrupt, 0);
  for (int i = 0; i < WORKERS; i++) pthread_create(&threads[i], 0, work, 0);
  for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], 0);
  pthread_join(interrupter, 0);
  printf("interrupted %d\n", stopped);
  return 0;
}
