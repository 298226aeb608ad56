// The schema, as the list of changes that made it. A released change is never edited; the next one goes below it.

import GRDB

enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("0001 first schema", migrate: firstSchema)
        migrator.registerMigration("0002 deltas and orders", migrate: deltasAndOrders)
        migrator.registerMigration("0003 silences and jobs", migrate: silencesAndJobs)
        migrator.registerMigration("0004 deploys", migrate: deploysAndScriptTokens)
        return migrator
    }
}
