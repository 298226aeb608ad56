// `rollcall check-config`: what the agent would understand, before it has to.

import AgentCore
import ArgumentParser
import Glibc
import Platform

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks rule files and settings: says what the agent understands, and every fault at once.",
        discussion: """
            Of a folder these are read: rollcall.conf, host.inq, services.d/*.inq and jobs.d/*.inq; of a folder that has none of them, its *.inq. \
            The exit status is 0 without faults and 1 with faults. Where systemd runs it is asked which units the checks mean.
            """)

    @Flag(help: "Print one JSON object per file and line.")
    var json = false

    @Flag(help: "Look at the files alone, not at the units of this host.")
    var offline = false

    @Option(help: "Judge the samples in this file by the rules, and say when each would have fired: what `rollcall history` has printed.")
    var replay: String?

    @Argument(help: "What to check.")
    var paths: [String] = ["/etc/rollcall"]

    func run() throws {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let hostname = name.withUnsafeBufferPointer { String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
        var reading = ConfigurationReading(paths, defaults: AgentSettings.Defaults(hostname: hostname, stateDirectory: nil))
        if let replay, case .success(let configuration) = reading.configuration { return try judge(replay, by: configuration) }
        if !offline, let means = meansOfTheAgent(reading) { reading.add(warnings: reading.missingMeans(means) + reading.bounds(of: means)) }
        let units = offline ? nil : HostUnits(of: reading.services)
        let answer = json ? CheckConfigAnswer(jsonOf: reading, units) : CheckConfigAnswer(sentencesOf: reading, units)
        Output.answer.say(answer.output)
        Output.complaint.say(answer.complaints)
        Output.answer.say(answer.summary)
        if !answer.isGood { throw ExitCode(1) }
    }

    /// More is no recording of an agent's.
    private static let mostRecorded = 256 << 20

    private func judge(_ file: String, by configuration: AgentConfiguration) throws {
        do {
            let recording = try Recording(JSON(parsing: AtomicFile.read(file, limit: Self.mostRecorded)))
            let replay = Replay(configuration, by: recording)
            Output.answer.say(json ? replay.json.text + "\n" : replay.text)
        } catch {
            Output.complaint.say("\(file): \(error)\n")
            throw ExitCode(1)
        }
    }
}
