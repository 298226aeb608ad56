// Deploys as they were told, and the tokens of scripts.

import GRDB

/// The lines of the timeline apart from the whole records, which may be large: no list has to read past them.
func deploysAndScriptTokens(_ db: Database) throws {
    try db.execute(
        sql: """
            CREATE TABLE deploys (
                id TEXT PRIMARY KEY NOT NULL, service TEXT NOT NULL, at INTEGER NOT NULL, verdict TEXT NOT NULL, began INTEGER NOT NULL,
                ended INTEGER NOT NULL, person TEXT, revision TEXT, requests INTEGER, failed INTEGER, longest_stall INTEGER, size INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE INDEX deploys_by_age ON deploys (at, size);
            CREATE INDEX deploys_by_service ON deploys (service, at);
            CREATE TABLE deploy_records (id TEXT PRIMARY KEY NOT NULL REFERENCES deploys (id) ON DELETE CASCADE, body TEXT NOT NULL);
            CREATE TABLE deploy_services (
                service TEXT NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
                PRIMARY KEY (service, at, id)
            ) WITHOUT ROWID;
            CREATE INDEX deploy_services_by_deploy ON deploy_services (id);
            CREATE TABLE deploy_hosts (
                host TEXT NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL REFERENCES deploys (id) ON DELETE CASCADE, PRIMARY KEY (host, at, id)
            ) WITHOUT ROWID;
            CREATE INDEX deploy_hosts_by_deploy ON deploy_hosts (id);

            CREATE TABLE script_tokens (
                name TEXT PRIMARY KEY NOT NULL, digest TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, created_at INTEGER NOT NULL
            ) WITHOUT ROWID;
            """)
}
