import AgentCore
import Foundation
import Platform

/// A folder of configuration files that is gone with its last owner.
final class ConfigurationFolder {
    let path: String

    init(_ files: [String: String] = [:]) throws {
        path = NSTemporaryDirectory() + "rollcall-configuration-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files {
            let url = URL(fileURLWithPath: path).appendingPathComponent(name)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The whole folder, or the named files of it.
    func read(_ names: String...) -> ConfigurationReading {
        ConfigurationReading(
            names.isEmpty ? [path] : names.map { "\(path)/\($0)" }, defaults: AgentSettings.Defaults(hostname: "web1", stateDirectory: nil))
    }

    /// `services.d/puma.inq:2:3: message`
    func shown(_ faults: [Fault]) -> [String] { faults.map { $0.description.replacingOccurrences(of: path + "/", with: "") } }
}

extension ConfigurationReading {
    var faults: [Fault] { files.flatMap(\.faults) }
}
