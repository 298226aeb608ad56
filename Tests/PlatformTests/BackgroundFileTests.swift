import Foundation
import Platform
import Synchronization
import TestKit
import Testing

@Suite struct BackgroundFileTests {
    @Test func theLatestContentIsThere() throws {
        let folder = try TemporaryFolder()
        let file = BackgroundFile(folder.path + "/state") { Issue.record("\($0)") }
        for number in 0..<200 { file.write(Array("\(number)".utf8)) }
        file.finish()
        #expect(try String(contentsOfFile: folder.path + "/state", encoding: .utf8) == "199")
        #expect(try folder.names() == ["state"])
        let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/state")[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func whatCannotBeWrittenIsSaidOnceUntilItCan() throws {
        let folder = try TemporaryFolder()
        let said = Mutex<[FileError]>([])
        let file = BackgroundFile(folder.path + "/later/state") { error in said.withLock { $0.append(error) } }
        for number in [1, 2] as [UInt8] {
            file.write([number])
            file.finish()
        }
        #expect(said.withLock { $0.count } == 1 && file.hasFailed)
        try FileManager.default.createDirectory(atPath: folder.path + "/later", withIntermediateDirectories: false)
        file.write([3])
        file.finish()
        #expect(said.withLock { $0.count } == 1 && !file.hasFailed)
        try FileManager.default.removeItem(atPath: folder.path + "/later")
        file.write([4])
        file.finish()
        #expect(said.withLock { $0.count } == 2 && file.hasFailed)
    }
}
