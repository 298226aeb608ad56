// What reports that are differences, tokens that belong to one agent, and orders need.

import GRDB

func deltasAndOrders(_ db: Database) throws {
    try db.execute(
        sql: """
            ALTER TABLE hosts ADD COLUMN snapshot INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE hosts ADD COLUMN replaced_by TEXT;
            ALTER TABLE agent_tokens ADD COLUMN agent TEXT;

            CREATE TABLE orders (
                id TEXT PRIMARY KEY NOT NULL, agent TEXT NOT NULL, request TEXT NOT NULL, given_by TEXT NOT NULL, created_at INTEGER NOT NULL,
                expires_at INTEGER NOT NULL, is_good INTEGER, answer TEXT, finished_at INTEGER
            ) WITHOUT ROWID;
            CREATE INDEX orders_waiting ON orders (agent, created_at) WHERE finished_at IS NULL;
            CREATE INDEX orders_by_age ON orders (created_at);
            """)
}
