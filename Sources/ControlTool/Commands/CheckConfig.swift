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
            The exit status is 0 without faults and 1 with faults.
            """)

    @Flag(help: "Print one JSON object per file and line.")
    var json = false

    @Argument(help: "What to check.")
    var paths: [String] = ["/etc/rollcall"]

    func run() throws {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let hostname = name.withUnsafeBufferPointer { String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
        let reading = ConfigurationReading(paths, defaults: AgentSettings.Defaults(hostname: hostname, stateDirectory: nil))
        let answer = json ? CheckConfigAnswer(jsonOf: reading) : CheckConfigAnswer(sentencesOf: reading)
        Output.answer.say(answer.output)
        Output.complaint.say(answer.complaints)
        Output.answer.say(answer.summary)
        if !answer.isGood { throw ExitCode(1) }
    }
}
