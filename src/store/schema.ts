/** How many events of each instance are kept at least, for listeners that come back. */
export const keptEvents = 256;

/**
 * The store's schema as a list of steps; `PRAGMA user_version` says how many have been taken. A step that has been
 * released is never changed: a new one is added.
 */
export const migrations: readonly string[] = [
  `CREATE TABLE instances (
     id          INTEGER PRIMARY KEY,
     project     TEXT NOT NULL,
     name        TEXT NOT NULL,
     created_at  TEXT NOT NULL,
     guest_state TEXT NOT NULL,
     pid         INTEGER,
     start_ticks INTEGER,
     boot_id     TEXT,
     UNIQUE (project, name)
   ) STRICT;
   CREATE TABLE config (
     instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
     key         TEXT NOT NULL,
     value       TEXT NOT NULL,
     PRIMARY KEY (instance_id, key)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE devices (
     instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
     name        TEXT NOT NULL,
     options     TEXT NOT NULL, -- JSON: [[option, value], ...]
     PRIMARY KEY (instance_id, name)
   ) STRICT, WITHOUT ROWID;`,
  // The last events of each instance, for listeners that come back. Timestamps have all the same length, so that
  // their order as text is their order in time.
  `CREATE TABLE events (
     instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
     timestamp   TEXT NOT NULL,
     type        TEXT NOT NULL,
     text        TEXT NOT NULL, -- the JSON document that was sent
     PRIMARY KEY (instance_id, timestamp)
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE images (
     fingerprint TEXT PRIMARY KEY,
     filename    TEXT NOT NULL,
     type        TEXT NOT NULL,
     public      INTEGER NOT NULL,
     cached      INTEGER NOT NULL,
     properties  TEXT NOT NULL, -- JSON: {name: value}
     files       TEXT NOT NULL, -- JSON: [{size, extension}], one (unified) or two (split)
     uploaded_at TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  // Names of projects that were given before there were projects stay.
  `CREATE TABLE projects (
     id          INTEGER PRIMARY KEY,
     name        TEXT NOT NULL UNIQUE,
     description TEXT NOT NULL,
     config      TEXT NOT NULL -- JSON: [[key, value], ...]
   ) STRICT;
   CREATE TABLE profiles (
     id          INTEGER PRIMARY KEY,
     project     TEXT NOT NULL,
     name        TEXT NOT NULL,
     description TEXT NOT NULL,
     config      TEXT NOT NULL, -- JSON: [[key, value], ...]
     devices     TEXT NOT NULL, -- JSON: [[name, [[option, value], ...]], ...]
     UNIQUE (project, name)
   ) STRICT;
   ALTER TABLE instances ADD COLUMN description TEXT NOT NULL DEFAULT '';
   ALTER TABLE instances ADD COLUMN profiles TEXT NOT NULL DEFAULT '[]'; -- JSON: [id, ...]
   INSERT INTO projects (name, description, config) VALUES ('default', 'Default devlxd project', '[]');
   INSERT INTO projects (name, description, config)
     SELECT DISTINCT project, '', '[]' FROM instances WHERE project != 'default';
   INSERT INTO profiles (project, name, description, config, devices)
     SELECT name, 'default', 'Default devlxd profile', '[]', '[]' FROM projects;`,
  // Whose the instance is; empty: our own.
  "ALTER TABLE instances ADD COLUMN source TEXT NOT NULL DEFAULT '';",
  // Each instance of our own has a lasting identity: a random UUID of version 4 (RFC 9562).
  `CREATE TABLE identity_keys (
     kid         TEXT PRIMARY KEY,
     private_key TEXT NOT NULL, -- PKCS #8, PEM
     created_at  INTEGER NOT NULL, -- milliseconds since 1970
     signs_from  INTEGER -- the same; NULL: not before its turn
   ) STRICT, WITHOUT ROWID;
   INSERT INTO config (instance_id, key, value)
     SELECT id, 'volatile.uuid', lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' ||
       substr(hex(randomblob(2)), 2) || '-' || substr('89AB', 1 + (random() & 3), 1) ||
       substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))
     FROM instances WHERE source = '';`,
  "ALTER TABLE instances ADD COLUMN type TEXT NOT NULL DEFAULT 'container';",
  // Timestamp of the last edit of a profile: instances that do not run then miss its events. '': there was none.
  "ALTER TABLE profiles ADD COLUMN changed_at TEXT NOT NULL DEFAULT '';",
  // Whose the profile is; empty: our own. And what a source is to be recognised by after a restart.
  `ALTER TABLE profiles ADD COLUMN source TEXT NOT NULL DEFAULT '';
   CREATE TABLE source_state (
     name  TEXT PRIMARY KEY,
     state TEXT NOT NULL -- JSON
   ) STRICT, WITHOUT ROWID;`,
  // Of a running virtual machine: its context id, vsock(7).
  'ALTER TABLE instances ADD COLUMN cid INTEGER;',
  // What its cloud-init instance id stands for (src/model/seed.ts); empty: not known, or nothing follows from profiles.
  "ALTER TABLE instances ADD COLUMN seed TEXT NOT NULL DEFAULT '';",
];
