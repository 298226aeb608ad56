// Times are microseconds since 1970, durations microseconds, and an absent unit is the empty text: the host itself.

import GRDB
import Platform

/// Present state has tables of its own, written as things change, so that no page has to search the history for it.
func firstSchema(_ db: Database) throws {
    try db.execute(
        sql: """
            CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;

            CREATE TABLE hosts (
                agent TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, reported_at INTEGER NOT NULL,
                last_report INTEGER NOT NULL, interval INTEGER NOT NULL, is_silent INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
                samples TEXT NOT NULL DEFAULT '{}'
            ) WITHOUT ROWID;
            CREATE TABLE units (agent TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (agent, name)) WITHOUT ROWID;
            CREATE TABLE members (
                agent TEXT NOT NULL, unit TEXT NOT NULL, service TEXT NOT NULL, PRIMARY KEY (agent, unit, service)
            ) WITHOUT ROWID;
            CREATE INDEX members_by_service ON members (service);

            CREATE TABLE services (
                name TEXT PRIMARY KEY NOT NULL, status TEXT NOT NULL, since INTEGER NOT NULL, incident_since INTEGER, told TEXT NOT NULL,
                is_configured INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE TABLE problems (
                service TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE, agent TEXT NOT NULL, subject_key TEXT NOT NULL,
                item TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, importance TEXT NOT NULL, since INTEGER NOT NULL, route TEXT,
                is_told INTEGER NOT NULL,
                PRIMARY KEY (service, agent, subject_key, item)
            ) WITHOUT ROWID;
            CREATE TABLE checks (
                service TEXT NOT NULL, name TEXT NOT NULL, summary TEXT NOT NULL, failures INTEGER NOT NULL, is_failing INTEGER NOT NULL,
                last_run INTEGER, last_duration INTEGER, detail TEXT NOT NULL, PRIMARY KEY (service, name)
            ) WITHOUT ROWID;
            CREATE TABLE restarts (
                agent TEXT NOT NULL, unit TEXT NOT NULL, last_told INTEGER NOT NULL, is_gathering INTEGER NOT NULL, first_at INTEGER NOT NULL,
                count INTEGER NOT NULL, lines TEXT NOT NULL, PRIMARY KEY (agent, unit)
            ) WITHOUT ROWID;

            CREATE TABLE events (
                id INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, sequence INTEGER NOT NULL, unit TEXT NOT NULL, host TEXT NOT NULL,
                received_at INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (agent, sequence)
            );
            CREATE INDEX events_by_unit ON events (agent, unit, id);
            CREATE INDEX events_by_age ON events (received_at);

            CREATE TABLE series (
                id INTEGER PRIMARY KEY, agent TEXT NOT NULL, unit TEXT NOT NULL, metric TEXT NOT NULL, UNIQUE (agent, unit, metric)
            );
            CREATE TABLE samples (
                series INTEGER NOT NULL, slot INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (series, slot)
            ) WITHOUT ROWID;

            CREATE TABLE outbox (
                id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, notifier TEXT NOT NULL, recipient TEXT NOT NULL,
                subject TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL, due_at INTEGER NOT NULL, gather TEXT,
                state TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, problem TEXT, sent_at INTEGER, failed_at INTEGER,
                leased_until INTEGER
            );
            CREATE INDEX outbox_pending ON outbox (recipient, id) WHERE state = 'pending';
            CREATE INDEX outbox_gather ON outbox (gather) WHERE state = 'pending' AND gather IS NOT NULL;
            CREATE INDEX outbox_by_service ON outbox (service, id);
            CREATE INDEX outbox_by_age ON outbox (created_at);
            CREATE INDEX outbox_failed ON outbox (failed_at) WHERE state = 'failed';

            CREATE TABLE users (name TEXT PRIMARY KEY NOT NULL, password_hash TEXT NOT NULL) WITHOUT ROWID;
            CREATE TABLE sessions (
                digest TEXT PRIMARY KEY NOT NULL, user TEXT NOT NULL, form_token TEXT NOT NULL, expires_at INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE TABLE agent_tokens (name TEXT PRIMARY KEY NOT NULL, digest TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL) WITHOUT ROWID;
            CREATE TABLE heartbeats (name TEXT PRIMARY KEY NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
            """)
    // Message ids have it in front: two installations never make the same.
    try db.execute(sql: "INSERT INTO meta VALUES ('installation', ?)", arguments: [randomHex(bytes: 8)])
}
