// What initctl prints, as values.

/// A job, or an instance of one, as `initctl list` and `initctl status` have it:
///
///     JOB[ (INSTANCE)] GOAL/STATE[, [(PROCESS) ]process PID]
///     <tab>PROCESS process PID
struct InitctlStatus: Equatable, Sendable {
    var job: String
    /// Empty for the only instance of a job without instances.
    var instance: String
    var goal: String
    var state: String
    /// Of the process `main`; `nil` when it has none, or another process is told of in its place.
    var mainPID: Int32?

    /// What rules and events call it: `worker`, `worker/1`.
    var unit: String { UpstartPath(job: job, instance: instance).unit }

    fileprivate static let mostLines = 10_000

    /// `nil` for a line that tells of nothing; names and states of releases that nobody has seen yet are taken as they are.
    init?(parsing line: ArraySlice<UInt8>) {
        var head = line
        var process: (name: ArraySlice<UInt8>?, pid: Int32)?
        if let comma = line.lastIndex(of: UInt8(ascii: ",")), let read = initctlProcess(line[(comma + 1)...]) {
            process = read
            head = line[..<comma]
        }
        guard let blank = head.lastIndex(of: 32) else { return nil }
        let words = head[(blank + 1)...].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard words.count == 2, words[0].elementsEqual("start".utf8) || words[0].elementsEqual("stop".utf8), !words[1].isEmpty else { return nil }
        (goal, state) = (text(words[0]), text(words[1]))
        let name = head[..<blank]
        // A job's name holds no blank, while an instance may be called anything.
        if name.last == UInt8(ascii: ")"), let end = name.firstIndex(of: 32), name[end...].starts(with: " (".utf8) {
            (job, instance) = (text(name[..<end]), text(name[end...].dropFirst(2).dropLast()))
        } else {
            (job, instance) = (text(name), "")
        }
        guard !job.isEmpty else { return nil }
        if let process, process.name.map({ $0.elementsEqual("main".utf8) }) ?? hasMainProcess { mainPID = process.pid }
    }

    /// Before it was spawned and after it has ended, the process that has no name is the script of that state.
    private var hasMainProcess: Bool { !["waiting", "starting", "security", "pre-start", "post-stop"].contains { state.hasPrefix($0) } }
}

/// All that `initctl list` has printed. Lines of further processes, which begin with a tab, belong to the line before.
func initctlStatuses(parsing output: [UInt8]) -> [InitctlStatus] {
    var statuses: [InitctlStatus] = []
    for line in output.split(separator: UInt8(ascii: "\n")).prefix(InitctlStatus.mostLines) {
        if line.first == UInt8(ascii: "\t") {
            guard line.dropFirst().starts(with: "main ".utf8), let process = initctlProcess(line.dropFirst("\tmain".utf8.count)) else { continue }
            if !statuses.isEmpty { statuses[statuses.count - 1].mainPID = process.pid }
        } else if let status = InitctlStatus(parsing: line) {
            statuses.append(status)
        }
    }
    return statuses
}

/// ` process 123`, ` (security) process 123`
private func initctlProcess(_ text: ArraySlice<UInt8>) -> (name: ArraySlice<UInt8>?, pid: Int32)? {
    var words = text.split(separator: 32)
    var name: ArraySlice<UInt8>?
    if words.count == 3, words[0].first == UInt8(ascii: "("), words[0].last == UInt8(ascii: ")") {
        name = words.removeFirst().dropFirst().dropLast()
    }
    guard words.count == 2, words[0].elementsEqual("process".utf8), let pid = pidNumber(parsing: Array(words[1])) else { return nil }
    return (name, pid)
}

private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// What initctl says when it does not do what it was asked for: `initctl: Unknown job: nosuch`.
enum InitctlRefusal: Equatable {
    case unknownJob
    case unknownInstance
    /// The instance has to be named by this variable.
    case needsParameter(String)
    case isRunning
    case failedToStart
    case notAllowed
    case other(String)

    init(parsing output: [UInt8]) {
        let line = inOneLine(output).utf8
        let words = line.starts(with: "initctl: ".utf8) ? line.dropFirst("initctl: ".utf8.count) : line[...]
        func begins(_ prefix: String) -> Bool { words.starts(with: prefix.utf8) }
        let parameter = "Unknown parameter: "
        if begins("Unknown job") {
            self = .unknownJob
        } else if begins("Unknown instance") {
            self = .unknownInstance
        } else if begins(parameter), let name = words.dropFirst(parameter.utf8.count).split(separator: 32).first {
            self = .needsParameter(String(Substring(name)))
        } else if begins("Job is already running") {
            self = .isRunning
        } else if begins("Job failed to start") {
            self = .failedToStart
        } else if begins("Rejected send message") || begins("Access denied") || begins("Permission denied") {
            self = .notAllowed
        } else {
            self = .other(words.isEmpty ? "without a word" : String(Substring(words)))
        }
    }
}
