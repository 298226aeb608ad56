import Glibc
import Platform
import TestKit
import Testing

@Suite struct SecretTests {
    @Test func readsTheFirstLineOfAPrivateFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("hunter2\r\nnot this\n", to: "password", mode: 0o600)
        #expect(try Secret(file: path).reveal() == "hunter2")
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o644] as [UInt32])
    func refusesAFileThatOthersCanOpen(mode: UInt32) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("hunter2", to: "password", mode: mode)
        let error = #expect(throws: FileError.self) { try Secret(file: path) }
        #expect(error?.description == "\(path) holds a secret but others can open it: chmod 600 \(path)")
    }

    @Test func refusesAnEmptyFileAFolderAndNothing() throws {
        let folder = try TemporaryFolder()
        let empty = try folder.write("\n", to: "empty", mode: 0o600)
        #expect(throws: FileError.self) { try Secret(file: empty) }
        #expect(throws: FileError.self) { try Secret(file: folder.path) }
        #expect(throws: FileError.self) { try Secret(file: folder.path + "/nothing") }
    }

    @Test func neverShowsItself() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!"\(secret) \(String(reflecting: secret)) \(dumped)".contains("hunter2"))
    }

    @Test func matchesItselfAlone() {
        let secret = Secret("hunter2")
        #expect(secret.matches("hunter2".utf8))
        for other in ["", "hunter", "hunter22", "hunter3", "hunter2hunter2"] { #expect(!secret.matches(other.utf8)) }
        #expect(Secret("").matches("".utf8))
        #expect(!Secret("").matches("x".utf8))
    }
}
