// A database in a folder of its own, which goes when the test ends.

import AggregatorCore
import Foundation
import Platform
import SQLiteStore

final class TemporaryDatabase: Sendable {
    let folder: String
    let path: String

    init() throws {
        folder = NSTemporaryDirectory() + "rollcall-store-\(randomHex(bytes: 8))"
        path = folder + "/rollcall.sqlite"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func open() throws(StoreError) -> SQLiteStore { try SQLiteStore(path: path) }
}
