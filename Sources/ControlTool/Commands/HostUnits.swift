// What this host's systemd says of the units that a configuration names.

import AgentCore
import Glibc
import Platform

/// The units of this host, as far as a configuration is concerned with them.
struct HostUnits {
    /// How long systemctl may take.
    private static let patience = Duration.seconds(5)
    private static let mostOutput = 16 << 20
    private static let properties = "Id,LoadState,Type,RemainAfterExit,ConsistsOf,TriggeredBy,SourcePath"

    /// What `systemctl show` says of each name, by the name.
    private let properties: [String: [String: String]]
    /// All units that are loaded.
    private let all: [String]

    /// Asks systemctl. `nil` where systemd does not run, or does not answer.
    init?(of services: [ServiceCheck]) {
        guard access("/run/systemd/system", F_OK) == 0 else { return nil }
        let names = services.filter { !$0.isPattern && $0.mayBeOfSystemd }.map(\.name)
        var shown = ""
        if !names.isEmpty {
            let units = names.map { Self.hasType($0) ? $0 : "\($0).service" }
            guard let answer = Self.systemctl(["show", "--no-pager", "--property=\(Self.properties)", "--"] + units) else { return nil }
            shown = answer
        }
        guard let listed = Self.systemctl(["list-units", "--all", "--full", "--plain", "--no-legend", "--no-pager"]) else { return nil }
        self.init(shown: shown, of: names, listed: listed)
    }

    /// - Parameters:
    ///   - shown: what `systemctl show` says, one paragraph for each name.
    ///   - listed: what `systemctl list-units` says.
    init(shown: String, of names: [String], listed: String) {
        let paragraphs = shown.split(separator: "\n\n", omittingEmptySubsequences: true)
        var properties: [String: [String: String]] = [:]
        for (name, paragraph) in zip(names, paragraphs) {
            for line in paragraph.split(separator: "\n") {
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if parts.count == 2 { properties[name, default: [:]][String(parts[0])] = String(parts[1]) }
            }
        }
        self.properties = properties
        all = listed.split(separator: "\n").compactMap { line in
            // A unit that failed has a dot before its name.
            let words = line.split(separator: " ").drop { !$0.contains(".") }
            guard let name = words.first, words.dropFirst().first != "not-found" else { return nil }
            return String(name)
        }
    }

    /// What follows for a check, in sentences.
    /// - Parameter services: all checks.
    func notes(on check: ServiceCheck, among services: [ServiceCheck]) -> [String] {
        guard check.mayBeOfSystemd else { return [] }
        if check.isPattern {
            let matching = all.filter(check.covers)
            guard !matching.isEmpty else { return ["matches no unit at present"] }
            let shown = matching.prefix(5).joined(separator: ", ") + (matching.count > 5 ? ", ..." : "")
            return ["matches \(matching.count) \(matching.count == 1 ? "unit" : "units") at present: \(shown)"]
        }
        guard let known = properties[check.name] else { return [] }
        if known["LoadState"] == "not-found" { return ["systemd knows no unit of this name at present"] }
        return kindNotes(known) + aliasNotes(known, of: check, among: services)
    }

    /// What its kind means for what the check can tell. See *Kinds of units* in docs/rules.md.
    private func kindNotes(_ known: [String: String]) -> [String] {
        let triggers = (known["TriggeredBy"] ?? "").split(separator: " ").joined(separator: ", ")
        switch (known["Type"], known["RemainAfterExit"]) {
        case ("oneshot", "yes"):
            let parts = (known["ConsistsOf"] ?? "").split(separator: " ").map(String.init)
            let advice = parts.isEmpty ? "watch what it starts" : "watch \(parts.prefix(5).joined(separator: ", "))"
            return ["it has no process of its own once it has been started, so this check cannot tell whether anything lives: \(advice)"]
        case ("oneshot", _):
            let by = triggers.isEmpty ? "" : " (started by \(triggers))"
            return ["it runs and ends\(by): between two runs it is idle, and each run that fails is reported"]
        default: break
        }
        if triggers.isEmpty { return [] }
        if triggers.contains(".timer") { return ["\(triggers) starts it: between two runs it is idle, and each run that fails is reported"] }
        return ["\(triggers) starts it when it is needed: while that is active it may be idle, and only its failure is reported"]
    }

    private func aliasNotes(_ known: [String: String], of check: ServiceCheck, among services: [ServiceCheck]) -> [String] {
        guard let id = known["Id"], id != check.name, id != "\(check.name).service" else { return [] }
        let others = services.filter { $0.name != check.name && !$0.isPattern && (properties[$0.name]?["Id"] ?? $0.name) == id }
        let also = others.isEmpty ? "" : ", which is also checked at " + others.map(\.place).joined(separator: ", ")
        return ["`\(check.name)` is another name of \(id)\(also)"]
    }

    private static func hasType(_ name: String) -> Bool {
        let types = ["service", "socket", "timer", "path", "mount", "automount", "swap", "target", "slice", "scope", "device"]
        return types.contains { name.hasSuffix(".\($0)") }
    }

    private static func systemctl(_ arguments: [String]) -> String? {
        let places: [String] = ["/usr/bin/systemctl", "/bin/systemctl"]
        guard let path = places.first(where: { (place: String) in access(place, X_OK) == 0 }) else { return nil }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(ends[0])
            if null >= 0 { close(null) }
        }
        let child = try? spawn(path, arguments, environment: ["LC_ALL=C", "PATH=/usr/bin:/bin"], input: null, output: ends[1], errors: null)
        close(ends[1])
        guard let child else { return nil }
        let output = read(ends[0], until: SystemTime().now().uptime + patience)
        if output == nil { kill(child, SIGKILL) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard let output, status == 0 else { return nil }
        return String(decoding: output, as: UTF8.self)
    }

    /// Everything up to the end; `nil` when that does not come in time.
    private static func read(_ descriptor: Int32, until end: Duration) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < mostOutput {
            let left = (end - SystemTime().now().uptime).microseconds / 1000
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&waiting, 1, Int32(clamping: left)) >= 0 || errno == EINTR else { return nil }
            guard waiting.revents != 0 else { continue }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            guard count > 0 else { return nil }
            bytes += buffer[..<count]
        }
        return nil
    }
}

extension ServiceCheck {
    fileprivate var mayBeOfSystemd: Bool { pidFile == nil && (initSystem == nil || initSystem == .systemd) }
}
