// The file in which the watcher keeps what must outlive it.

import Glibc
import Logging
import Platform

/// `watch-state.json` in the state folder. A damaged one is put aside and the agent begins anew. A thread of its own writes it, because the
/// watcher must not wait for a disk.
final class WatchStateFile {
    static let limit = 16 << 20
    /// How often it is written for what changes in every cycle: how long rules have held, and what growth is measured from.
    static let interval = Duration.seconds(60)

    private let path: String
    private let logger: Logger
    private let file: BackgroundFile
    private var written: [UInt8]?
    private var lastWrite: Duration?

    init(folder: String, logger: Logger) {
        path = folder.hasSuffix("/") ? "\(folder)watch-state.json" : "\(folder)/watch-state.json"
        self.logger = logger
        file = BackgroundFile(path) { logger.warning("what is to be remembered cannot be written", metadata: ["why": "\($0)"]) }
    }

    /// What an earlier life wrote; `nil` when there is nothing of use.
    func read(at now: Moment) -> WatchState? {
        guard access(path, F_OK) == 0 else { return nil }
        do {
            return try WatchState(parsing: AtomicFile.read(path, limit: Self.limit), at: now)
        } catch {
            let aside = "\(path).damaged"
            rename(path, aside)
            logger.warning("what was remembered is damaged and was put aside", metadata: ["file": "\(aside)", "why": "\(error)"])
            return nil
        }
    }

    func isDue(at uptime: Duration) -> Bool { lastWrite.map { uptime - $0 >= Self.interval } ?? true }

    /// Writes what has changed, soon.
    func write(_ json: JSON, at uptime: Duration) {
        lastWrite = uptime
        let bytes = json.bytes
        guard bytes != written || file.hasFailed else { return }
        written = bytes
        file.write(bytes)
    }

    /// Waits until all is written: for the end of the agent.
    func finish() { file.finish() }
}
