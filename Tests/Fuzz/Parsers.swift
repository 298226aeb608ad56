// Every parser of outside input, by the name of its seeds' folder.

@testable import AgentAPI
@testable import Platform
@testable import RuleLanguage

let parsers: [String: @Sendable ([UInt8]) -> Void] = [
    "json": { _ = try? JSON(parsing: $0) },
    "report": { if let json = try? JSON(parsing: $0) { _ = try? Report(json) } },
    "rules": { _ = RuleFile.parse($0, file: "fuzz") },
    "settings": { _ = SettingsFile.parse($0, file: "fuzz") },
]
