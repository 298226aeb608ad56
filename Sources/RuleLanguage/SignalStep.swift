// `QUIT 30s TERM 5s KILL`: signals by their names, one after the other.

/// By number from 1 on, as Linux on x86-64 and arm64 has them.
private let signalNames = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT",
    "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
]

extension SignalStep {
    /// More steps than any ladder has.
    private static let limit = 10

    /// Reads the steps of a ladder: all but the last one with the time that follows them.
    static func ladder(parsing text: String) throws(TextProblem) -> [SignalStep] {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        guard !words.isEmpty else { throw TextProblem("found no signal", help: "write a signal such as QUIT, or \"QUIT 30s KILL\"") }
        var steps: [SignalStep] = []
        for word in words {
            let isWaitMissing = steps.last.map { $0.wait == nil } ?? false
            if word.first?.isNumber == true, isWaitMissing || Int(word) == nil {
                guard let last = steps.last, last.wait == nil else {
                    throw TextProblem("found \(quoted(word)), expected the name of a signal", help: "each wait stands behind its signal")
                }
                guard let wait = Duration(ruleText: word) else {
                    throw TextProblem("\(quoted(word)) is no time to wait", help: "write a number and a unit, such as 30s or 2m")
                }
                steps[steps.count - 1].wait = wait
            } else {
                if let last = steps.last, last.wait == nil {
                    throw TextProblem("found no time between \(last.name) and \(quoted(word))", help: "write \"\(last.name) 30s \(printable(word))\"")
                }
                steps.append(SignalStep(signal: try number(of: word)))
            }
        }
        guard steps.count <= limit else { throw TextProblem("more than \(limit) signals") }
        if let last = steps.last, let wait = last.wait {
            throw TextProblem("nothing follows the wait of \(wait.ruleText) behind \(last.name)", help: "leave it out, or add a signal such as KILL")
        }
        return steps
    }

    private static func number(of word: String) throws(TextProblem) -> Int32 {
        let upper = word.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let index = signalNames.firstIndex(of: name) { return Int32(index + 1) }
        let aliases = ["CLD": "CHLD", "POLL": "IO", "IOT": "ABRT"]
        if let alias = aliases[name], let index = signalNames.firstIndex(of: alias) { return Int32(index + 1) }
        var help = nearest(to: name, among: signalNames).map { "did you mean `\($0)`?" } ?? "signals are named, such as HUP, INT, QUIT, TERM or KILL"
        if let number = Int(word), (1...signalNames.count).contains(number) { help = "signal \(number) is called \(signalNames[number - 1])" }
        throw TextProblem("there is no signal \(quoted(word))", help: help)
    }

    /// `QUIT`
    public var name: String {
        signal >= 1 && Int(signal) <= signalNames.count ? signalNames[Int(signal) - 1] : "\(signal)"
    }

    /// `QUIT 30s`
    var text: String { wait.map { "\(name) \($0.ruleText)" } ?? name }
}
