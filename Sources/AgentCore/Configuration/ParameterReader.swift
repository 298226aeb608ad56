// Reads what follows `with`, and gathers what is wrong with it.

import Glibc
import Platform
import RuleLanguage

struct ParameterReader {
    let file: String
    var findings = Findings()

    init(file: String) { self.file = file }

    mutating func owner(_ parameter: Parameter) -> String? {
        if parameter.value.isEmpty { fault("an `owner` without a name", at: parameter.place, help: "name a route, or leave it out") }
        return parameter.value.isEmpty ? nil : parameter.value
    }

    mutating func path(_ parameter: Parameter) -> String? {
        guard parameter.value.hasPrefix("/") else {
            fault("`\(parameter.value)` is not an absolute path", at: parameter.place, help: "begin it with a slash")
            return nil
        }
        return parameter.value
    }

    /// A file that holds a secret. Nobody but its owner may read it, or the agent will not.
    mutating func secretFile(_ parameter: Parameter) -> String? {
        guard let path = path(parameter) else { return nil }
        var status = stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT { warn("\(path) does not exist", at: parameter.place) }
            return path
        }
        if status.st_mode & 0o077 != 0 { warn("\(path) holds a secret but others can open it", at: parameter.place, help: "chmod 600 \(path)") }
        return path
    }

    /// A secret that stands in the file itself.
    mutating func clearSecret(_ parameter: Parameter) {
        warn(
            "whoever can read this file knows the \(parameter.key)", at: parameter.place,
            help: "write it into a file of its own, with mode 0600: `\(parameter.key)_file PATH`")
    }

    mutating func port(_ parameter: Parameter) {
        guard portNumber(parameter.value) != nil else {
            return fault("`\(parameter.value)` is not a port", at: parameter.place, help: "a port is a number from 1 to 65535")
        }
    }

    mutating func patterns(_ parameter: Parameter) -> [String] {
        let patterns = parameter.value.split(separator: " ").map(String.init)
        if patterns.isEmpty { fault("`\(parameter.key)` without a name or pattern", at: parameter.place, help: "such as \"backup-*\"") }
        return patterns
    }

    mutating func unknown(_ parameter: Parameter, known: [String]) {
        let meant = nearest(to: parameter.key, among: known)
        fault(
            "there is no parameter `\(parameter.key)` here", at: parameter.place,
            help: meant.map { "did you mean `\($0)`?" } ?? "known \(known.count == 1 ? "is" : "are") " + known.joined(separator: ", "))
    }

    mutating func fault(_ message: String, at place: Place, help: String?) {
        findings.faults.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    mutating func warn(_ message: String, at place: Place, help: String? = nil) {
        findings.warnings.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }
}
