// What every command has that asks the agent.

import AgentAPI
import ArgumentParser
import Glibc
import Platform

struct AgentOptions: ParsableArguments {
    @Option(help: "The agent's socket (default: $ROLLCALL_SOCKET, or \(AgentConnection.defaultSocket)).")
    var socket: String?

    @Flag(help: "Print the answer as JSON.")
    var json = false

    var connection: AgentConnection {
        let told = getenv("ROLLCALL_SOCKET").map { String(cString: $0) } ?? ""
        return AgentConnection(socket: socket ?? (told.isEmpty ? AgentConnection.defaultSocket : told))
    }

    /// Asks, prints the answer, and ends with 1 when the agent could not do what it was asked.
    func ask(_ request: AgentRequest, colouring: Bool = false) throws {
        let answer: AgentAnswer
        do {
            answer = try connection.ask(request)
        } catch {
            Output.complaint.say("rollcall: \(error)\n")
            throw ExitCode(EX_UNAVAILABLE)
        }
        show(answer, colouring: colouring)
        if !answer.isGood { throw ExitCode(1) }
    }

    func show(_ answer: AgentAnswer, colouring: Bool = false) {
        if json {
            Output.answer.say(answer.json.text + "\n")
        } else if answer.isGood {
            Output.answer.say(colouring && Output.answer.isColourful ? Colours.coloured(answer.text) : answer.text)
        } else {
            Output.complaint.say("rollcall: \(answer.text)")
        }
    }
}

/// `90s`, `45m`, `2h`, `1h30m`, `3d`: a length of time on a command line.
struct Length: ExpressibleByArgument {
    var duration: Duration

    init?(argument: String) {
        var seconds: Int64 = 0
        var rest = argument.utf8[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { (48...57).contains($0) }
            rest = rest.dropFirst(digits.count)
            guard let number = Int64(String(decoding: digits, as: UTF8.self)), let unit = rest.popFirst() else { return nil }
            let factors: [UInt8: Int64] = [
                UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600, UInt8(ascii: "d"): 86_400,
            ]
            guard let factor = factors[unit] else { return nil }
            let (part, isTooLong) = number.multipliedReportingOverflow(by: factor)
            let (sum, overflows) = seconds.addingReportingOverflow(part)
            guard !isTooLong, !overflows else { return nil }
            seconds = sum
        }
        guard seconds > 0, seconds <= RequestLimits.length.components.seconds else { return nil }
        duration = .seconds(seconds)
    }
}
