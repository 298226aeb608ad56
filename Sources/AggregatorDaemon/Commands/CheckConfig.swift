// `check-config`: all faults of a configuration, before anything depends on it.

import ArgumentParser
import Platform

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Checks a configuration file: exit status 0, or 78 with every fault on standard error.")

    @Argument(help: "The configuration file.")
    var path: String = ConfigurationFile.standardPath

    func run() throws {
        var file = ConfigurationFile()
        file.path = path
        _ = try file.loadOrExit()
        print("\(path): correct")
    }
}
