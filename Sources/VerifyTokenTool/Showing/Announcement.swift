// Tells a result: to people, to programs, to JUnit, to GitHub Actions.

import AgentAPI
import DeployVerification
import Glibc
import Platform

struct Announcement {
    let options: ResultOptions

    /// - Returns: whether everything could be written.
    @discardableResult
    func tell(_ result: CheckResult) -> Bool {
        if options.json { Output.line(result.json.text) }
        if !options.json || !options.quiet {
            let lines = options.quiet ? [result.sentence] : result.lines
            for line in lines { if options.json { Output.error(line) } else { Output.line(line) } }
        }
        if options.annotates { Output.error(GitHub.annotation(of: result)) }
        guard let file = options.junit else { return true }
        do throws(FileError) {
            try AtomicFile.write(Array(JUnit.report(of: result).utf8), to: file)
            return true
        } catch {
            Output.error("verify-token: --junit: \(error)")
            return false
        }
    }
}

/// Workflow commands of GitHub Actions. The runner reads them on standard error too, where they spoil no result.
enum GitHub {
    static func annotation(of result: CheckResult) -> String {
        let title = "Deploy\(result.service.map { " of \($0)" } ?? "") \(result.verdict.rawValue)"
        return "::\(result.verdict == .verified ? "notice" : "error") title=\(property(title))::\(data(result.sentence))"
    }

    /// Keeps a token out of the run's log.
    static func mask(_ token: DeployToken) -> String { "::add-mask::\(token.text)" }

    private static func data(_ text: String) -> String {
        text.map { character -> String in
            switch character {
            case "%": "%25"
            case "\r": "%0D"
            case "\n": "%0A"
            case "\r\n": "%0D%0A"
            default: String(character)
            }
        }.joined()
    }

    private static func property(_ text: String) -> String {
        data(text).map { $0 == ":" ? "%3A" : $0 == "," ? "%2C" : String($0) }.joined()
    }
}

/// A test suite with a case for each host and URL, and one for the probe.
enum JUnit {
    static func report(of result: CheckResult) -> String {
        var cases: [(name: String, problem: String?, detail: String)] = []
        for host in result.everything.hosts {
            let detail = ([oneLine(host.inWords)] + host.reasons.map(oneLine)).joined(separator: "\n")
            cases.append(("host \(host.host)", host.state == .verified ? nil : host.state.rawValue, detail))
        }
        for url in result.everything.urls { cases.append((url.url, url.state == .verified ? nil : url.state.rawValue, url.account)) }
        if let availability = result.everything.availability {
            cases.append(("probe", result.verdict == .limitsExceeded ? result.verdict.rawValue : nil, availability.words))
        }
        if cases.allSatisfy({ $0.problem == nil }), result.verdict != .verified { cases.append(("deploy", result.verdict.rawValue, result.sentence)) }
        let failures = cases.count { $0.problem != nil }
        let name = escaped("deploy \(result.service ?? result.tokenPrefix ?? "unknown")")
        let time = seconds(result.elapsed)
        var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
        lines.append(
            "<testsuite name=\"\(name)\" tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"0\" time=\"\(time)\" timestamp=\"\(result.began.text())\">"
        )
        for one in cases {
            let opening = "  <testcase classname=\"\(name)\" name=\"\(escaped(one.name))\" time=\"\(time)\""
            if let problem = one.problem {
                lines.append("\(opening)><failure message=\"\(escaped(problem))\">\(escaped(one.detail))</failure></testcase>")
            } else {
                lines.append("\(opening)/>")
            }
        }
        return (lines + ["</testsuite>", ""]).joined(separator: "\n")
    }

    /// XML 1.0 has no place for control characters, not even as references.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            case "\n": "&#10;"
            case _ where scalar.value < 32 || scalar.value == 0x7f || scalar.value == 0xFFFE || scalar.value == 0xFFFF: " "
            default: String(scalar)
            }
        }.joined()
    }
}
