// `run`: the daemon.

import AggregatorCore
import ArgumentParser
import Dashboard
import Logging
import Platform
import SQLiteStore

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs the aggregator until SIGTERM or SIGINT; SIGHUP reads its configuration anew.")

    @OptionGroup var file: ConfigurationFile

    func run() async throws {
        let loaded = try file.loadOrExit()
        Logs.bootstrap(level: loaded.configuration.logLevel)
        do {
            try await Aggregator(loaded, file: file).run()
        } catch let error as DashboardConfigurationError {
            let place = loaded.configuration.certificateFile?.place ?? Place(line: 1, column: 1)
            printError("\(Fault(file: file.path, line: place.line, column: place.column, message: "\(error)"))\n")
            throw ExitCode(78)
        } catch {
            Logger(label: "aggregator").critical("cannot go on", metadata: ["problem": "\(error)"])
            throw ExitCode.failure
        }
    }
}
