/*
** Two things that SQLite can do and better-sqlite3 cannot ask for: to interrupt what another
** connection of the process runs, and to tell what a transaction changed.
**
**   poolite_connection()          the number of this connection
**   poolite_interrupt(N)          interrupts what connection N runs; 1, or 0 where it is closed
**   poolite_feed(ON, ROWIDS)      begins or ends to collect changes, so many rowids of each table
**   poolite_changes()             what was committed since it was asked last, as JSON, or NULL
**   poolite_tables(SQL)           the tables that a statement reads and writes, as JSON
**
** All are DIRECTONLY: no view, trigger or index can call them.
** https://sqlite.org/c3ref/c_deterministic.html#sqlitedirectonly
*/
#include <string.h>

#include "sqlite3ext.h"

/* Not SQLITE_EXTENSION_INIT1: two copies of SQLite may load this library into one process, and what
** belongs to one must not be handed to the other. The first one has it, until its last connection is
** closed; Node.js may unload that copy then, and load it again elsewhere. */
static const sqlite3_api_routines *sqlite3_api = 0;
/* Open connections, and the gate to this and the above: SQLite's mutexes are behind it. */
static int open_connections = 0;
static volatile long gate = 0;

#ifdef _MSC_VER
#include <intrin.h>
#define ENTER_GATE() while (_InterlockedExchange(&gate, 1)) {}
#define LEAVE_GATE() _InterlockedExchange(&gate, 0)
#else
#define ENTER_GATE() while (__atomic_exchange_n(&gate, 1, __ATOMIC_ACQUIRE)) {}
#define LEAVE_GATE() __atomic_store_n(&gate, 0, __ATOMIC_RELEASE)
#endif

/* Whether this copy of SQLite has the library, for one more connection. */
static int enter(const sqlite3_api_routines *api) {
  int ours;
  ENTER_GATE();
  if (open_connections == 0) sqlite3_api = api;
  ours = sqlite3_api == api;
  if (ours) open_connections++;
  LEAVE_GATE();
  return ours;
}

static void leave(void) {
  ENTER_GATE();
  open_connections--;
  LEAVE_GATE();
}

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* What is known to have happened to a table. */
#define READ 1
#define WRITTEN 2
#define DELETED 4
/* Rows were changed whose rowids are not known: there are too many, or none. */
#define UNNAMED 8

typedef struct Table Table;
struct Table {
  Table *next;
  int flags;
  int count, room;
  sqlite3_int64 *rowids;
  const char *schema; /* behind the name, in the same memory */
  char name[];
};

typedef struct Tables {
  Table *first;
  Table *last; /* the one found last: rows of one table mostly follow one another */
  int incomplete; /* out of memory: others may have been changed too */
} Tables;

typedef struct Connection Connection;
struct Connection {
  Connection *next;
  sqlite3 *db;
  int number;
  int refs; /* functions that hold it, and whoever is making them */
  int feeding;
  int most; /* rowids of a table */
  Tables pending; /* what the open transaction changed */
  Tables committed;
  Tables told; /* what was told last, where that was all of it */
  Tables compiled; /* what statements may change that were compiled since the last look */
  int schema; /* whether one of those changes the schema */
  int commits; /* whether anything was committed since the last look */
  Tables *analysis; /* what is compiled is to be looked at, not run */
};

/* Every connection that has loaded this library and is open. */
static Connection *connections = 0;
static int next_number = 1;

static sqlite3_mutex *lock(void) {
  sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
  sqlite3_mutex_enter(mutex);
  return mutex;
}

/* ---- sets of tables ---- */

static void clear(Tables *tables) {
  Table *table = tables->first;
  while (table) {
    Table *next = table->next;
    sqlite3_free(table->rowids);
    sqlite3_free(table);
    table = next;
  }
  memset(tables, 0, sizeof *tables);
}

static void clear_all(Connection *connection) {
  clear(&connection->pending);
  clear(&connection->committed);
  clear(&connection->told);
  clear(&connection->compiled);
}

static Table *find(Tables *tables, const char *schema, const char *name) {
  Table *table = tables->last;
  size_t length;
  if (table && !strcmp(table->name, name) && !strcmp(table->schema, schema)) return table;
  for (table = tables->first; table; table = table->next) {
    if (!strcmp(table->name, name) && !strcmp(table->schema, schema)) {
      tables->last = table;
      return table;
    }
  }
  length = strlen(name) + 1;
  table = sqlite3_malloc64(sizeof *table + length + strlen(schema) + 1);
  if (!table) {
    tables->incomplete = 1;
    return 0;
  }
  memset(table, 0, sizeof *table);
  memcpy(table->name, name, length);
  table->schema = strcpy(table->name + length, schema);
  table->next = tables->first;
  tables->first = tables->last = table;
  return table;
}

static void mark(Tables *tables, const char *schema, const char *name, int flags) {
  Table *table = find(tables, schema, name);
  if (table) table->flags |= flags;
}

static void add_rowid(Table *table, sqlite3_int64 rowid, int most) {
  if (table->flags & UNNAMED) return;
  if (table->count == table->room) {
    int room = table->room ? table->room * 2 : 8;
    sqlite3_int64 *rowids;
    if (room > most) room = most;
    rowids = table->count < most ? sqlite3_realloc64(table->rowids, room * sizeof *rowids) : 0;
    if (!rowids) {
      table->flags |= UNNAMED;
      return;
    }
    table->rowids = rowids;
    table->room = room;
  }
  table->rowids[table->count++] = rowid;
}

/* Adds what is in one set to another, and empties the one. */
static void move(Tables *from, Tables *to, int most) {
  if (!to->first && !to->incomplete) {
    *to = *from;
    memset(from, 0, sizeof *from);
    return;
  }
  for (Table *table = from->first; table; table = table->next) {
    Table *same = find(to, table->schema, table->name);
    if (!same) continue;
    same->flags |= table->flags;
    for (int i = 0; i < table->count; i++) add_rowid(same, table->rowids[i], most);
  }
  to->incomplete |= from->incomplete;
  clear(from);
}

/* ---- JSON ---- */

static void append_text(sqlite3_str *out, const char *text) {
  sqlite3_str_appendchar(out, 1, '"');
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20) {
      sqlite3_str_appendf(out, "\\u%04x", c);
    } else {
      if (c == '"' || c == '\\') sqlite3_str_appendchar(out, 1, '\\');
      sqlite3_str_appendchar(out, 1, (char)c);
    }
  }
  sqlite3_str_appendchar(out, 1, '"');
}

/* `[[schema, name, flags, "rowid", …], …]`: text, since JavaScript's numbers are not exact. */
static void append_tables(sqlite3_str *out, const Tables *tables, int flag) {
  const char *comma = "";
  sqlite3_str_appendchar(out, 1, '[');
  for (const Table *table = tables->first; table; table = table->next) {
    if (!(table->flags & flag)) continue;
    sqlite3_str_appendf(out, "%s[", comma);
    comma = ",";
    append_text(out, table->schema);
    sqlite3_str_appendchar(out, 1, ',');
    append_text(out, table->name);
    sqlite3_str_appendf(out, ",%d", table->flags);
    if (!(table->flags & UNNAMED)) {
      for (int i = 0; i < table->count; i++) sqlite3_str_appendf(out, ",\"%lld\"", table->rowids[i]);
    }
    sqlite3_str_appendchar(out, 1, ']');
  }
  sqlite3_str_appendchar(out, 1, ']');
}

static void result_json(sqlite3_context *context, sqlite3_str *out) {
  int failed = sqlite3_str_errcode(out);
  char *text = sqlite3_str_finish(out);
  if (failed) {
    sqlite3_free(text);
    sqlite3_result_error_code(context, failed);
  } else {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  }
}

/* ---- what SQLite calls ---- */

static void on_update(void *data, int op, const char *schema, const char *name, sqlite3_int64 id) {
  Connection *connection = data;
  Table *table = find(&connection->pending, schema, name);
  (void)op;
  if (!table) return;
  table->flags |= WRITTEN;
  if (connection->most > 0) add_rowid(table, id, connection->most);
}

static int on_commit(void *data) {
  Connection *connection = data;
  connection->commits = 1;
  if (connection->pending.first || connection->pending.incomplete) {
    move(&connection->pending, &connection->committed, connection->most);
  }
  return 0;
}

static void on_rollback(void *data) {
  Connection *connection = data;
  clear(&connection->pending);
}

static int is_schema_change(int action) {
  switch (action) {
    case SQLITE_CREATE_INDEX: case SQLITE_CREATE_TABLE: case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE: case SQLITE_CREATE_TEMP_TRIGGER: case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_TRIGGER: case SQLITE_CREATE_VIEW: case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_INDEX: case SQLITE_DROP_TABLE: case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TEMP_TABLE: case SQLITE_DROP_TEMP_TRIGGER: case SQLITE_DROP_TEMP_VIEW:
    case SQLITE_DROP_TRIGGER: case SQLITE_DROP_VIEW: case SQLITE_DROP_VTABLE:
    case SQLITE_ALTER_TABLE: case SQLITE_ATTACH: case SQLITE_DETACH:
      return 1;
    default:
      return 0;
  }
}

/* Called while a statement is compiled, with all that its triggers and foreign keys do.
** https://sqlite.org/c3ref/set_authorizer.html */
static int on_compile(void *data, int action, const char *one, const char *two, const char *schema,
                      const char *inside) {
  Connection *connection = data;
  Tables *tables = connection->analysis ? connection->analysis : &connection->compiled;
  int flags = 0;
  (void)two;
  (void)inside;
  if (is_schema_change(action) && !connection->analysis) connection->schema = 1;
  if (action == SQLITE_READ && connection->analysis) flags = READ;
  if (action == SQLITE_INSERT || action == SQLITE_UPDATE) flags = WRITTEN;
  if (action == SQLITE_DELETE) flags = WRITTEN | DELETED;
  if (action == SQLITE_ALTER_TABLE && two) {
    /* Its arguments are the schema and the table; columns that come or go change its rows. */
    schema = one;
    one = two;
    flags = WRITTEN;
  }
  if (flags && one) mark(tables, schema ? schema : "main", one, flags);
  return SQLITE_OK;
}

/* ---- functions ---- */

static void connection_number(sqlite3_context *context, int count, sqlite3_value **values) {
  const Connection *connection = sqlite3_user_data(context);
  (void)count;
  (void)values;
  sqlite3_result_int(context, connection->number);
}

static void interrupt(sqlite3_context *context, int count, sqlite3_value **values) {
  sqlite3_int64 number = sqlite3_value_int64(values[0]);
  sqlite3_mutex *mutex = lock();
  const Connection *each = connections;
  (void)count;
  while (each && each->number != number) each = each->next;
  /* Under the lock: whoever closes leaves the table before its memory is given back. */
  if (each) sqlite3_interrupt(each->db);
  sqlite3_mutex_leave(mutex);
  sqlite3_result_int(context, each != 0);
}

static void stop_feeding(Connection *connection) {
  if (!connection->feeding) return;
  connection->feeding = 0;
  sqlite3_update_hook(connection->db, 0, 0);
  sqlite3_commit_hook(connection->db, 0, 0);
  sqlite3_rollback_hook(connection->db, 0, 0);
  sqlite3_set_authorizer(connection->db, 0, 0);
}

static void feed(sqlite3_context *context, int count, sqlite3_value **values) {
  Connection *connection = sqlite3_user_data(context);
  sqlite3_int64 most = sqlite3_value_int64(values[1]);
  (void)count;
  stop_feeding(connection);
  clear_all(connection);
  connection->schema = connection->commits = 0;
  connection->most = most < 0 ? 0 : most > 1000000 ? 1000000 : (int)most;
  if (sqlite3_value_int64(values[0]) == 0) return;
  connection->feeding = 1;
  sqlite3_update_hook(connection->db, on_update, connection);
  sqlite3_commit_hook(connection->db, on_commit, connection);
  sqlite3_rollback_hook(connection->db, on_rollback, connection);
  sqlite3_set_authorizer(connection->db, on_compile, connection);
  sqlite3_result_int(context, 1);
}

/* Whether two sets are told with the same words: tables in one order, without rowids. */
static int same(const Tables *one, const Tables *other) {
  const Table *a = one->first, *b = other->first;
  while (a && b && a->flags == b->flags && !strcmp(a->name, b->name) && !strcmp(a->schema, b->schema)) {
    a = a->next;
    b = b->next;
  }
  return !a && !b;
}

/* `[what, all, [[table], …], [[table], …]]`, where something was committed or compiled: 1 where the
** schema changed, plus 2 where something was committed; whether any table may have changed; those
** that did; those that newly compiled statements may have changed. 1 where that is what was told last:
** one commit is mostly like another. */
static void changes(sqlite3_context *context, int count, sqlite3_value **values) {
  Connection *connection = sqlite3_user_data(context);
  Tables *committed = &connection->committed, *compiled = &connection->compiled;
  int all = committed->incomplete | compiled->incomplete;
  sqlite3_str *out;
  (void)count;
  (void)values;
  if (!connection->commits && !compiled->first && !all && !connection->schema) return;
  if (!compiled->first && !all && !connection->schema && connection->most == 0 &&
      connection->told.first && same(committed, &connection->told)) {
    clear(committed);
    connection->commits = 0;
    sqlite3_result_int(context, 1);
    return;
  }
  out = sqlite3_str_new(connection->db);
  sqlite3_str_appendf(out, "[%d,%d,", connection->schema + 2 * connection->commits, all);
  append_tables(out, committed, WRITTEN);
  sqlite3_str_appendchar(out, 1, ',');
  append_tables(out, compiled, WRITTEN);
  sqlite3_str_appendchar(out, 1, ']');
  clear(&connection->told);
  if (!compiled->first && !all && !connection->schema) move(committed, &connection->told, 0);
  clear(committed);
  clear(compiled);
  connection->schema = connection->commits = 0;
  result_json(context, out);
}

/* It empties a table at once, of which no hook is told:
** https://sqlite.org/lang_delete.html#the_truncate_optimization */
#define EMPTIES 1
/* It may delete rows in favour of others, by REPLACE: of those no hook is told either. */
#define REPLACES 2

/* What a statement does unnoticed. A row that REPLACE deletes is neither counted (1) nor updated (4). */
static int unnoticed(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = 0;
  int found = 0;
  char *explain = sqlite3_mprintf("EXPLAIN %s", sql);
  if (!explain) return EMPTIES | REPLACES;
  if (sqlite3_prepare_v2(db, explain, -1, &statement, 0) == SQLITE_OK) {
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const char *opcode = (const char *)sqlite3_column_text(statement, 1);
      if (opcode == 0) found |= EMPTIES | REPLACES;
      else if (!strcmp(opcode, "Clear")) found |= EMPTIES;
      else if (!strcmp(opcode, "Delete") && (sqlite3_column_int(statement, 3) & 5) == 0 &&
               sqlite3_column_type(statement, 5) != SQLITE_NULL) {
        found |= REPLACES;
      }
    }
  }
  sqlite3_finalize(statement);
  sqlite3_free(explain);
  return found;
}

/* `[how, [[table], …]]`: the tables by their flags; 1 where it may empty those that it deletes from at
** once, plus 2 where it may replace rows of those that it writes to. */
static void analyse(sqlite3_context *context, int count, sqlite3_value **values) {
  Connection *connection = sqlite3_user_data(context);
  const char *sql = (const char *)sqlite3_value_text(values[0]);
  sqlite3_stmt *statement = 0;
  Tables tables = {0, 0, 0};
  int rc, how = 0;
  (void)count;
  if (!sql) return;
  connection->analysis = &tables;
  if (!connection->feeding) sqlite3_set_authorizer(connection->db, on_compile, connection);
  rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, 0);
  if (rc != SQLITE_OK) sqlite3_result_error(context, sqlite3_errmsg(connection->db), -1);
  sqlite3_finalize(statement);
  for (const Table *table = tables.first; rc == SQLITE_OK && table; table = table->next) {
    if (table->flags & WRITTEN) {
      how = unnoticed(connection->db, sql);
      break;
    }
  }
  if (!connection->feeding) sqlite3_set_authorizer(connection->db, 0, 0);
  connection->analysis = 0;
  if (rc != SQLITE_OK) {
    sqlite3_result_error_code(context, rc);
  } else if (tables.incomplete) {
    sqlite3_result_error_nomem(context);
  } else {
    sqlite3_str *out = sqlite3_str_new(connection->db);
    sqlite3_str_appendf(out, "[%d,", how);
    append_tables(out, &tables, READ | WRITTEN);
    sqlite3_str_appendchar(out, 1, ']');
    result_json(context, out);
  }
  clear(&tables);
}

/* ---- coming and going ---- */

/* A function of the connection is gone: it is being closed, or somebody took the function's name. */
static void release(void *data) {
  Connection *connection = data;
  sqlite3_mutex *mutex;
  Connection **link;
  if (--connection->refs > 0) return;
  stop_feeding(connection);
  mutex = lock();
  for (link = &connections; *link && *link != connection; link = &(*link)->next) {
  }
  if (*link) *link = connection->next;
  sqlite3_mutex_leave(mutex);
  clear_all(connection);
  sqlite3_free(connection);
  leave();
}

static const struct {
  const char *name;
  int arguments;
  void (*call)(sqlite3_context *, int, sqlite3_value **);
} functions[] = {
    {"poolite_connection", 0, connection_number},
    {"poolite_interrupt", 1, interrupt},
    {"poolite_feed", 2, feed},
    {"poolite_changes", 0, changes},
    {"poolite_tables", 1, analyse},
};

EXPORT int sqlite3_poolitehooks_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  Connection *connection, *each;
  sqlite3_mutex *mutex;
  int rc = SQLITE_OK;
  if (!enter(api)) {
    /* Only with its own routines may this copy's memory be touched. */
    *error = api->mprintf("another copy of SQLite in this process has loaded the library");
    return SQLITE_ERROR;
  }
  mutex = lock();
  each = connections;
  while (each && each->db != db) each = each->next;
  sqlite3_mutex_leave(mutex);
  connection = each ? 0 : sqlite3_malloc64(sizeof *connection);
  if (!connection) {
    leave();
    return each ? SQLITE_OK_LOAD_PERMANENTLY : SQLITE_NOMEM;
  }
  memset(connection, 0, sizeof *connection);
  connection->db = db;
  connection->refs = 1;
  mutex = lock();
  connection->number = next_number++;
  connection->next = connections;
  connections = connection;
  sqlite3_mutex_leave(mutex);
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof functions / sizeof *functions; i++) {
    connection->refs++;
    /* It calls `release` where it fails, too. */
    rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].arguments,
                                    SQLITE_UTF8 | SQLITE_DIRECTONLY, connection, functions[i].call,
                                    0, 0, release);
  }
  release(connection);
  /* It stays until the process ends: numbers are not given twice. */
  return rc == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : rc;
}
