// What reports say of silences and of recurring jobs, as it is now.

import GRDB

func silencesAndJobs(_ db: Database) throws {
    try db.execute(
        sql: """
            ALTER TABLE hosts ADD COLUMN silences TEXT NOT NULL DEFAULT '[]';
            ALTER TABLE hosts ADD COLUMN jobs TEXT NOT NULL DEFAULT '[]';
            """)
}
