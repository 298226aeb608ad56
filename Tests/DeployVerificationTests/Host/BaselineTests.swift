// What is remembered of a service before its deploy.

import AgentAPI
import Platform
import TestKit
import Testing

@testable import DeployVerification
import Foundation

private let token = "9b2f91ea9b2f91ea"

private func process(_ pid: Int32, parent: Int32 = 10, generation: ExecGeneration = .vector(random: .max, sysinfo: 2), isDeleted: Bool = false)
    -> ServiceProcess
{
    ServiceProcess(
        mark: ProcessMark(pid: pid, startTicks: .max, generation: generation), parent: parent, command: "puma", state: 83, listeners: [7],
        folder: FolderMark(device: .max, inode: 3), folderPath: "/srv/app/releases/1", isFolderDeleted: isDeleted,
        parentFolder: FolderMark(device: 1, inode: 2))
}

private func baseline(_ processes: [ServiceProcess], answers: [WorkerAnswer.Content] = [], listeners: Int = 1) -> Baseline {
    let addresses: [ServiceListener] = [
        .init(inode: 7, address: .tcp(address: "::1", port: 8080)), .init(inode: 8, address: .unix(path: "/run/app.sock")),
    ]
    return Baseline(
        ServiceLook(at: .milliseconds(5001), listeners: Array(addresses.prefix(listeners)), processes: processes, lacks: ["nothing"]),
        answers: zip(processes.dropFirst(), answers).map { WorkerAnswer(mark: $0.mark, content: $1, took: .zero, at: .seconds(4)) }, token: token,
        boot: "b-1")
}

@Suite struct BaselineTests {
    @Test func itComesBackAsItWas() throws {
        let full = baseline(
            [process(10, parent: 1), process(11), process(12, generation: .code(.max)), process(13, generation: .unknown)],
            answers: [.token("11c011c011c011c0"), .other(status: 404, bytes: 1), .accessDenied(status: 401)], listeners: 2)
        #expect(try Baseline(JSON(parsing: full.json.text)) == full)
        #expect(full.workers == 3)
        // A token is told from another by its first digits; whole it is kept nowhere.
        #expect(!full.json.text.contains("11c011c011c011c0"))
    }

    @Test(arguments: [
        ([process(10, parent: 1), process(11)], [WorkerAnswer.Content.token(token)], 1, "already answers the new token"),
        ([process(10, parent: 1), process(11, isDeleted: true)], [], 1, "stands in a folder that was deleted"),
        ([process(10, parent: 1), process(11)], [], 1, "already stands in /srv/app/releases/1"),
        ([process(10, parent: 1), process(11, generation: .unknown)], [], 1, "no exec evidence"),
        ([process(10, parent: 1), process(11)], [.accessDenied(status: 401)], 1, "is denied"),
        ([process(10, parent: 1), process(11)], [.other(status: 404, bytes: 1)], 1, "answers a token so far"),
        ([process(10, parent: 1), process(11)], [], 1, "no worker answered"),
        ([process(10, parent: 1), process(11)], [], 0, "nobody of the service listens"),
        ([], [], 0, "has no processes"),
    ])
    func whatMaySpoilTheDeployIsSaidBefore(processes: [ServiceProcess], answers: [WorkerAnswer.Content], listeners: Int, words: String) {
        let release = ReleaseFolder(path: "/srv/app/releases/1", mark: FolderMark(device: .max, inode: 3), parent: nil)
        let warnings = baseline(processes, answers: answers, listeners: listeners)
            .warnings(release: .seen(release), isInPlace: false, asked: true)
        #expect(warnings.contains { $0.contains(words) }, "\(warnings)")
    }

    @Test func aReleaseThatIsNotThereIsSaidBefore() {
        let problem = "there is no folder /srv/app/releases/2 on this host"
        let warnings = baseline([process(10, parent: 1), process(11)]).warnings(release: .unseen(problem), isInPlace: false, asked: true)
        #expect(warnings.contains(problem))
    }

    @Test func aHealthyServiceHasNothingToWarnOf() {
        var healthy = baseline([process(10, parent: 1), process(11)], answers: [.token("11c011c011c011c0")])
        healthy.lacks = []
        let release = ReleaseFolder(path: "/srv/app/releases/2", mark: FolderMark(device: 1, inode: 9), parent: nil)
        #expect(healthy.warnings(release: .seen(release), isInPlace: false, asked: true) == [])
    }

    @Test func aReleaseIsFoundThroughALinkByWhatItIs() throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: "releases/1/TOKEN")
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/current", withDestinationPath: "releases/1")
        let own = try #require(NamedRelease(lookingAt: "\(folder.path)/releases/1").folder)
        #expect(NamedRelease(lookingAt: "\(folder.path)/current").folder?.mark == own.mark)
        #expect(own.parent == NamedRelease(lookingAt: "\(folder.path)/releases").folder?.mark)
        #expect(NamedRelease(lookingAt: "\(folder.path)/releases/2").problem == "there is no folder \(folder.path)/releases/2 on this host")
        #expect(NamedRelease(lookingAt: "\(folder.path)/releases/1/TOKEN").problem == "\(folder.path)/releases/1/TOKEN is no folder")
    }
}
