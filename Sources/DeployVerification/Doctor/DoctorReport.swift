// What doctor tells of one host, for people and for programs.

public import Platform

public struct DoctorReport: Equatable, Sendable {
    public var host: String
    public var service: String
    public var kind: ServerKind?
    public var findings: [DoctorFinding]
    /// What it has read, and what it could not look at.
    public var read: [String]
    public var lacks: [String]
    /// Which question the workers answer; `nil` when they were not asked.
    public var asking: AskingReport?

    public init(host: String, facts: DoctorFacts, isLocal: Bool, hasAsked: Bool) {
        self.host = host
        service = facts.service.name
        kind = facts.kind
        asking = facts.asking
        findings = Doctor.findings(facts)
        read = (facts.unit.map { unit in Set(unit.entries.map(\.file)).sorted() } ?? [])
        read += facts.files.filter { if case .text = $0.value { true } else { false } }.keys.sorted()
        lacks = []
        if !isLocal { lacks.append("the agent is on another host: its unit and its configuration files were not read") }
        if isLocal, facts.unit == nil { lacks.append("no unit of the service was found: what a reload does is not known") }
        if kind == nil, !facts.service.processes.isEmpty { lacks.append("the server is none that doctor knows") }
        if !hasAsked { lacks.append("the workers were not asked for their token (--ask)") }
    }

    public var hasFault: Bool { findings.contains { $0.severity == .fault } }

    public var lines: [String] {
        var lines = ["\(shown(service)) on \(shown(host)): \(kind?.name ?? "a server of another kind"); \(sum)"]
        for finding in findings {
            lines.append("")
            lines.append("  \(finding.severity.rawValue): \(finding.problem)  [\(finding.code.rawValue)]")
            if !finding.places.isEmpty { lines.append("    seen at: \(finding.places.joined(separator: "; "))") }
            lines.append("    why: \(finding.why)")
            if let mend = finding.mend { lines.append("    mend: \(mend)") }
        }
        lines += askingLines
        if !lacks.isEmpty || !read.isEmpty { lines.append("") }
        lines += read.map { "  read: \(shown($0))" } + lacks.map { "  note: \($0)" }
        return lines
    }

    private var askingLines: [String] {
        guard let asking else { return [] }
        var lines = ["", "  asked for \(shown(asking.path)):"]
        lines += asking.tries.map { "    \(shown($0.listener)) (\(shown($0.way))): \(shown($0.answer))" }
        if let line = asking.line {
            lines.append("    this asks rightly, in the service's file: \(shown(line))")
        } else if let problem = asking.problem {
            lines.append("    no token: \(shown(problem))")
        }
        return lines
    }

    private var sum: String {
        guard !findings.isEmpty else { return "nothing found that would keep old code" }
        let counts = DoctorFinding.Severity.allCases.map { severity in (severity, findings.count { $0.severity == severity }) }
        return counts.filter { $0.1 > 0 }.map { "\($0.1) \($0.0.rawValue)\($0.1 == 1 || $0.0 == .unknown ? "" : "s")" }.joined(separator: ", ")
    }

    public var json: JSON {
        var members: [JSON.Member] = [
            .init("host", .string(host)), .init("service", .string(service)), .init("server", JSON(kind?.rawValue)),
            .init("findings", .array(findings.map(\.json))), .init("read", .array(read.map(JSON.string))),
            .init("lacks", .array(lacks.map(JSON.string))),
        ]
        if let asking { members.append(.init("asking", asking.json)) }
        return .object(members)
    }
}
