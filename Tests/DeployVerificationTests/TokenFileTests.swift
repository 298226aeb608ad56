import DeployVerification
import Foundation
import Platform
import Testing

/// A release folder that is gone after the test.
private final class Release {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-release-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
    func text(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }
}

@Suite struct TokenFileTests {
    private let release: Release
    private let token = try! DeployToken(parsing: "0123456789abcdef0123456789abcdef")

    init() throws { release = try Release() }

    private func problem(_ path: String) -> String? {
        do throws(FileError) {
            try TokenFile.write(token, release: path)
            return nil
        } catch { return error.problem }
    }

    @Test func theTokenStandsAloneInItsFile() throws {
        let mask = umask(0o077)
        defer { umask(mask) }
        try TokenFile.write(token, release: release.path)
        #expect(release.files == ["TOKEN"])
        #expect(try release.text("TOKEN") == token.text)
        #expect(try FileManager.default.attributesOfItem(atPath: release.path + "/TOKEN")[.posixPermissions] as? Int == 0o644)
    }

    @Test func anEarlierTokenIsReplacedAsAWhole() throws {
        try "an earlier token".write(toFile: release.path + "/TOKEN", atomically: false, encoding: .utf8)
        let reader = try FileHandle(forReadingFrom: URL(fileURLWithPath: release.path + "/TOKEN"))
        try TokenFile.write(token, release: release.path + "/")
        #expect(try release.text("TOKEN") == token.text)
        // Who had opened the old file still reads the old one, not a part of the new.
        #expect(try reader.readToEnd() == Data("an earlier token".utf8))
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give files away")) func theFileBelongsToTheReleasesOwner() throws {
        chown(release.path, 1234, 2345)
        try TokenFile.write(token, release: release.path)
        let attributes = try FileManager.default.attributesOfItem(atPath: release.path + "/TOKEN")
        #expect(attributes[.ownerAccountID] as? Int == 1234)
        #expect(attributes[.groupOwnerAccountID] as? Int == 2345)
    }

    @Test func aLinkToTheReleaseIsTheRelease() throws {
        let link = release.path + "-current"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: release.path)
        defer { try? FileManager.default.removeItem(atPath: link) }
        try TokenFile.write(token, release: link)
        #expect(try release.text("TOKEN") == token.text)
    }

    @Test func aLinkInThePlaceOfTheFileIsNotFollowed() throws {
        let victim = release.path + "/victim"
        try "precious".write(toFile: victim, atomically: false, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: release.path + "/TOKEN", withDestinationPath: victim)
        #expect(problem(release.path) == "is a symbolic link; remove it: the token must be in the release itself")
        #expect(try release.text("victim") == "precious")
        #expect(release.files.sorted() == ["TOKEN", "victim"])
    }

    @Test func aHardLinkInThePlaceOfTheFileLeavesTheOtherFileAlone() throws {
        let victim = release.path + "/victim"
        try "precious".write(toFile: victim, atomically: false, encoding: .utf8)
        #expect(link(victim, release.path + "/TOKEN") == 0)
        try TokenFile.write(token, release: release.path)
        #expect(try release.text("victim") == "precious")
        #expect(try release.text("TOKEN") == token.text)
    }

    @Test func aFolderOrPipeInThePlaceOfTheFileIsRefused() throws {
        try FileManager.default.createDirectory(atPath: release.path + "/TOKEN", withIntermediateDirectories: true)
        #expect(problem(release.path) == "is a folder; the token's file needs its name")
        rmdir(release.path + "/TOKEN")
        mkfifo(release.path + "/TOKEN", 0o600)
        #expect(problem(release.path) == "is not a plain file; remove it")
        #expect(release.files == ["TOKEN"])
    }

    @Test func aReleaseMustBeAFolder() throws {
        try "".write(toFile: release.path + "/file", atomically: false, encoding: .utf8)
        #expect(problem(release.path + "/file") == "is not a folder")
        #expect(problem(release.path + "/missing") == "cannot be opened: No such file or directory")
    }

    @Test func whereNothingCanBeWrittenNothingIsLeft() {
        #expect(problem("/proc/self")?.hasPrefix("cannot be written: ") == true)
    }
}
