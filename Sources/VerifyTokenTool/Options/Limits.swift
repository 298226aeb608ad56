// What requests may suffer, and other words of the command line with a grammar of their own.

import AgentAPI
import ArgumentParser
import Platform

/// `50/s` or `50`: requests a second.
struct Rate: ExpressibleByArgument, CustomStringConvertible {
    let perSecond: Double

    init(_ perSecond: Double) { self.perSecond = perSecond }

    init?(argument: String) {
        let number = argument.hasSuffix("/s") ? argument.dropLast(2) : argument[...]
        guard let value = Double(number), value >= 1, value <= 50 else { return nil }
        perSecond = value
    }

    var description: String { perSecond == perSecond.rounded() ? "\(Int(perSecond))/s" : "\(perSecond)/s" }
}

/// `5` or `0.01%`: how many requests may fail.
struct MostFailed: ExpressibleByArgument, CustomStringConvertible {
    let failed: AvailabilityLimits.Failed

    init(_ failed: AvailabilityLimits.Failed) { self.failed = failed }

    init?(argument: String) {
        if argument.hasSuffix("%") {
            guard let percent = Double(argument.dropLast()), percent >= 0, percent <= 100 else { return nil }
            failed = .share(percent / 100)
        } else {
            guard let count = Int(argument), count >= 0, count <= 1_000_000_000 else { return nil }
            failed = .count(count)
        }
    }

    var description: String {
        switch failed {
        case .count(let count): "\(count)"
        case .share(let share): "\(share * 100)%"
        }
    }
}

/// `ignore`, `warn`, `wait`, `wait:30s`
struct Drain: ExpressibleByArgument, CustomStringConvertible {
    let draining: DeployCheck.Draining

    init(_ draining: DeployCheck.Draining) { self.draining = draining }

    init?(argument: String) {
        switch argument {
        case "ignore": draining = .ignore
        case "warn": draining = .warn
        case "wait": draining = .wait(.seconds(30))
        default:
            guard argument.hasPrefix("wait:"), let time = Seconds(argument: String(argument.dropFirst(5))), time.duration <= DeployLimits.duration
            else { return nil }
            draining = .wait(time.duration)
        }
    }

    var description: String {
        switch draining {
        case .ignore: "ignore"
        case .warn: "warn"
        case .wait(let time): "wait:\(Seconds(time))"
        }
    }
}

/// `same` or a number.
struct ExpectedWorkers: ExpressibleByArgument, CustomStringConvertible {
    /// `nil`: as many as before the deploy.
    let count: Int?

    init(_ count: Int?) { self.count = count }

    init?(argument: String) {
        if argument == "same" {
            count = nil
        } else {
            guard let number = Int(argument), (1...10_000).contains(number) else { return nil }
            count = number
        }
    }

    var description: String { count.map { "\($0)" } ?? "same" }
}
