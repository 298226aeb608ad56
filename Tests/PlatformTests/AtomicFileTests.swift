import Glibc
import Platform
import TestKit
import Testing

@Suite struct AtomicFileTests {
    @Test func replacesAFileWholeAndLeavesNothingElse() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/state"
        try AtomicFile.write(Array("one".utf8), to: path)
        try AtomicFile.write(Array("two".utf8), to: path, mode: 0o600)
        #expect(try AtomicFile.read(path) == Array("two".utf8))
        var status = stat()
        stat(path, &status)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(try folder.names() == ["state"])
    }

    @Test func saysWhatFailed() throws {
        let error = #expect(throws: FileError.self) { try AtomicFile.write([], to: "/nowhere/state") }
        #expect(error?.description == "/nowhere/state cannot be written: No such file or directory")
    }

    @Test func readsNoMoreThanItsLimit() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(String(repeating: "x", count: 100), to: "large")
        #expect(try AtomicFile.read(path, limit: 100).count == 100)
        #expect(throws: FileError(path: path, problem: "is larger than 99 bytes")) { try AtomicFile.read(path, limit: 99) }
    }
}
