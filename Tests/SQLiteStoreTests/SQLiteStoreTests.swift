import AgentAPI
import AggregatorCore
import Foundation
import GRDB
import Platform
import Testing

@testable import SQLiteStore

@Suite struct SQLiteStoreTests {
    let database: TemporaryDatabase

    init() throws { database = try TemporaryDatabase() }

    @Test func sqliteKeepsThePromisesOfAStore() async throws {
        let databases = DatabaseList()
        try await AggregatorStorePromises { try await databases.open() }.verify()
    }

    @Test func whatIsAcknowledgedIsOnDisk() async throws {
        let store = try database.open()
        let synchronous = try await store.pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
        #expect(synchronous == 2)
        let mode = try await store.pool.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
        #expect(mode == "wal")
    }

    @Test func theFileBelongsToItsOwnerAlone() async throws {
        _ = FileManager.default.createFile(atPath: database.path, contents: nil, attributes: [.posixPermissions: 0o644])
        let store = try database.open()
        try await store.take(report())
        for name in try FileManager.default.contentsOfDirectory(atPath: database.folder) {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(database.folder)/\(name)")[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(name)")
        }
    }

    @Test func everythingIsThereAfterARestart() async throws {
        var store: SQLiteStore? = try database.open()
        try await store?.take(report([event(1, .unitDown)], units: [unit("puma.service", .down)]))
        let before = try await store?.services()
        store = nil
        let after = try await database.open().services()
        #expect(after == before && after.count == 2)
    }

    @Test func aDamagedFileIsAnErrorThatHelps() throws {
        try Data("this is not a database, and long enough to be looked at".utf8).write(to: URL(fileURLWithPath: database.path))
        #expect { try database.open() } throws: { "\($0)".contains("damaged or no database") && "\($0)".contains("restore a backup") }
    }

    @Test func aFileOfANewerProgramIsAnErrorThatHelps() async throws {
        var store: SQLiteStore? = try database.open()
        try await store?.pool.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('9999 the future')") }
        store = nil
        #expect { try database.open() } throws: { "\($0)".contains("newer version") }
    }

    @Test func aFolderThatIsNotThereIsAnErrorThatHelps() {
        #expect { try SQLiteStore(path: database.folder + "/no/such.sqlite") } throws: { "\($0)".contains("No such file or directory") }
    }

    @Test func aFullDiskIsAnErrorThatHelpsAndChangesNothing() async throws {
        let store = try database.open()
        try await store.take(report())
        try await store.pool.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            try db.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        let many = (1...2000).map { event(UInt64($0), .unitRestarted, detail: String(repeating: "x", count: 500)) }
        let refused = try await #require(throws: StoreError.self) { try await store.take(report(Array(many.prefix(1000)))) }
        #expect(refused.detail == "the disk is full")
        #expect(try await store.host(agent: agent)?.lastSequence == 0)
        #expect(try await store.events(ofService: nil, agent: nil, limit: 10).isEmpty)
    }

    @Test func aStatusThatSomebodyElseChangedMakesADecisionFail() async throws {
        let store = try database.open()
        try await store.take(report())
        // Another writer that comes between reading and writing: as a trigger, because here nobody else can.
        try await store.pool.write { db in
            try db.execute(
                sql: """
                    CREATE TRIGGER other_writer BEFORE INSERT ON hosts BEGIN UPDATE services SET status = 'warning' WHERE name = 'puma.service'; END
                    """)
        }
        let refused = try await #require(throws: StoreError.self) {
            try await store.take(report([event(1, .unitDown)], units: [unit("puma.service", .down)]))
        }
        #expect(refused.detail == "puma.service was changed by another writer")
        #expect(try await store.service("puma.service")?.status == .passing)
        #expect(try await store.notifications(ofService: nil, limit: 10).isEmpty)
    }

    @Test func aWriteThatHasBegunIsFinishedThoughWhoeverAskedIsCancelled() async throws {
        let store = try database.open()
        let task = Task { try await store.take(report([event(1, .agentStarted, nil)])) }
        task.cancel()
        _ = try await task.value
        #expect(try await store.host(agent: agent)?.lastSequence == 1)
    }

    @Test func twoThousandMutatedReportsAreRefusedOrTakenAndNeverACrash() async throws {
        let store = try database.open()
        var random = Mutations(seed: 20_261_121)
        let whole = report(
            [event(1, .unitDown, detail: "killed"), event(2, .unitRestarted), event(3, .ruleFailed, nil)], units: [unit("puma.service"), unit("b")])
        var taken = 0
        for _ in 0..<2000 {
            let bytes = random.mutate(whole.json.bytes)
            guard let json = try? JSON(parsing: bytes), let mutated = try? Report(json) else { continue }
            try await store.take(mutated)
            taken += 1
        }
        #expect(taken > 100)
        #expect(try await !store.hosts().isEmpty)
        for host in try await store.hosts() { _ = try await store.units(ofAgent: host.agent) }
        _ = try await store.services()
        _ = try await store.events(ofService: nil, agent: nil, limit: 10_000)
    }
}

/// Databases that live as long as the test that opened them.
private actor DatabaseList {
    private var all: [TemporaryDatabase] = []

    func open() throws -> SQLiteStore {
        let database = try TemporaryDatabase()
        all.append(database)
        return try database.open()
    }
}

/// Changes that a broken agent or a hostile one could make; the same for every run.
private struct Mutations {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func next(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % max(1, limit)
    }

    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let words = [
            "-1", "0", "9223372036854775807", "1e308", "\"\"", "null", "[]", "{}", "\"2026-02-31T00:00:00Z\"", "\"9999-12-31T23:59:59Z\"",
            "\"\\u0000\"",
        ]
        for _ in 0...next(3) {
            let at = next(bytes.count)
            switch next(5) {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: next(256))
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(UInt8(truncatingIfNeeded: next(256)), at: at)
            case 3:  // a value becomes another one
                guard let colon = bytes[at...].firstIndex(of: UInt8(ascii: ":")) else { continue }
                let end = bytes[(colon + 1)...].firstIndex { ",}]".utf8.contains($0) } ?? bytes.endIndex
                bytes.replaceSubrange((colon + 1)..<end, with: words[next(words.count)].utf8)
            default:  // a digit becomes another one
                guard let digit = bytes[at...].firstIndex(where: { (48...57).contains($0) }) else { continue }
                bytes[digit] = UInt8(48 + next(10))
            }
        }
        return bytes
    }
}
