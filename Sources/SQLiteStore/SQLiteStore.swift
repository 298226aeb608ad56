// The embedded database: one file, one writer, any number of readers.

public import AggregatorCore
import GRDB
import Glibc
import Platform

/// Everything that the aggregator remembers, in an SQLite file in WAL mode.
///
/// A write that has returned is on disk (`synchronous = FULL`): agents forget what we acknowledge. A write that has begun is finished even
/// when whoever asked for it is cancelled.
public final class SQLiteStore: Sendable {
    let pool: DatabasePool

    /// Opens the database, makes it if there is none, and brings it to the present schema.
    public init(path: String) throws(StoreError) {
        let doing = "opening the database \(path)"
        try Self.makePrivateFile(path)
        do {
            var configuration = Configuration()
            configuration.label = "database"
            configuration.busyMode = .timeout(5)
            pool = try DatabasePool(path: path, configuration: configuration)
            // The pool sets NORMAL, after anything that its configuration could say.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            let migrations = Migrations.all
            if try pool.read(migrations.hasBeenSuperseded) {
                throw StoreError(doing: doing, detail: "it was written by a newer version of this program: install that version, or restore a backup")
            }
            try migrations.migrate(pool)
        } catch {
            throw Self.storeError(error, doing: doing)
        }
    }

    /// Reads in one transaction.
    func read<Value: Sendable>(_ doing: String, _ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        do {
            return try await pool.read(body)
        } catch {
            throw Self.storeError(error, doing: doing)
        }
    }

    /// Writes in one transaction.
    func write<Value: Sendable>(_ doing: String, _ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        // A task of its own: GRDB rolls back when the task that waits is cancelled.
        let writing = Task { [pool] in try await pool.write(body) }
        do {
            return try await writing.value
        } catch {
            throw Self.storeError(error, doing: doing)
        }
    }

    /// The file belongs to its owner alone from its first byte; its companions (-wal, -shm) get the same mode from SQLite.
    private static func makePrivateFile(_ path: String) throws(StoreError) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw StoreError(doing: "opening the database \(path)", detail: String(cString: strerror(errno)))
        }
        fchmod(file, 0o600)
        giveToOwnerOfFolder(file, path)
        close(file)
    }

    /// What root makes beside another user's files is that user's: a command run by root must not lock the daemon out.
    private static func giveToOwnerOfFolder(_ file: Int32, _ path: String) {
        var folder = stat()
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        guard geteuid() == 0, stat(parent.isEmpty ? "/" : parent, &folder) == 0, folder.st_uid != 0 else { return }
        fchown(file, folder.st_uid, folder.st_gid)
    }

    private static func storeError(_ error: any Error, doing: String) -> StoreError {
        if let error = error as? StoreError { return error }
        guard let error = error as? DatabaseError else { return StoreError(doing: doing, detail: "\(error)") }
        let words = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
        let detail =
            switch error.resultCode {
            case .SQLITE_FULL: "the disk is full"
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: "the file is damaged or no database (\(words)): restore a backup, or move it away to begin anew"
            case .SQLITE_BUSY, .SQLITE_LOCKED: "another program holds the database (\(words))"
            case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN: "the file or its folder cannot be written (\(words))"
            case .SQLITE_IOERR: "the disk does not work (\(words))"
            default: words
            }
        return StoreError(doing: doing, detail: detail)
    }
}

// MARK: Values as columns

extension Row {
    func time(_ column: String) -> Timestamp { Timestamp(microseconds: self[column]) }

    func optionalTime(_ column: String) -> Timestamp? { (self[column] as Int64?).map { Timestamp(microseconds: $0) } }
}

/// A column that holds what this program never writes: the file was changed from outside.
func damaged(_ what: String) -> StoreError {
    StoreError(doing: "reading the database", detail: "\(what) is not what this program writes: the file is damaged or was edited")
}

/// Texts as one column.
func joined(_ texts: [String]) -> String { JSON.array(texts.map(JSON.string)).text }

func texts(_ column: String) throws -> [String] {
    guard let values = try? JSON(parsing: column).array else { throw damaged("a list") }
    return values.compactMap(\.string)
}
