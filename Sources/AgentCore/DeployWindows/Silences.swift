// Deploy windows, and units that somebody asked not to watch: when nobody is told, and when it ends.

import Platform

/// All silences of the host, as a value. While a unit is silent, events about it are recorded and told to nobody, and nothing acts on it.
///
/// Windows nest: each is counted by who opened it, and a unit is silent until everybody who opened one has finished. A window that was closed
/// or has run out goes on for one cycle, its grace, so that what just starts is not taken for what is missing.
struct Silences: Equatable {
    /// More than these is a script that has gone wrong.
    static let most = 1000
    static let longestDeploy = Duration.seconds(7 * 86_400)
    static let longestSilence = Duration.seconds(366 * 86_400)

    /// What one owner opened for one unit, one pattern, or the whole host.
    struct Window: Equatable {
        var owner: String
        /// `nil` for the whole host.
        var unit: String?
        var reason: String?
        /// How often it was opened and not finished.
        var depth = 1
        var began: Timestamp
        /// By the time since boot: a clock that steps changes no window.
        var ends: Duration
    }

    /// Windows of one owner that ended together, and whose grace lasts.
    struct Ending: Equatable {
        var windows: [Window]
        /// Whether nobody finished them.
        var hasRunOut: Bool
        var graceEnds: Duration
    }

    struct Unmonitored: Equatable {
        /// `nil` for the whole host.
        var unit: String?
        var owner: String
        var reason: String?
        var began: Timestamp
        /// `nil`: until somebody says so.
        var ends: Duration?
    }

    enum Kind: Equatable {
        case deploy(owner: String)
        case unmonitored(owner: String)
    }

    private(set) var windows: [Window] = []
    private(set) var endings: [Ending] = []
    private(set) var unmonitored: [Unmonitored] = []

    var isEmpty: Bool { windows.isEmpty && endings.isEmpty && unmonitored.isEmpty }
    var isFull: Bool { windows.count + unmonitored.count >= Self.most }

    /// Why a unit is silent, if it is.
    /// - Parameter isNamed: whether a name or pattern means the unit.
    func silence(where isNamed: (String) -> Bool) -> Kind? {
        if isEmpty { return nil }
        func covers(_ unit: String?) -> Bool { unit.map(isNamed) ?? true }
        if let asked = unmonitored.first(where: { covers($0.unit) }) { return .unmonitored(owner: asked.owner) }
        if let window = windows.first(where: { covers($0.unit) }) ?? endings.lazy.flatMap(\.windows).first(where: { covers($0.unit) }) {
            return .deploy(owner: window.owner)
        }
        return nil
    }

    /// Why nobody is told of the host itself, if so.
    var ofHost: Kind? { silence { _ in false } }
}

// MARK: Deploys

extension Silences {
    /// Opens windows, or goes one level deeper into those that their owner has opened before. The later end counts.
    mutating func start(_ units: [String], owner: String, reason: String?, at now: Moment, length: Duration) {
        for unit in names(units) {
            if let index = windows.firstIndex(where: { $0.owner == owner && $0.unit == unit }) {
                windows[index].depth = min(windows[index].depth + 1, Self.most)
                windows[index].ends = max(windows[index].ends, now.uptime + length)
                windows[index].reason = reason ?? windows[index].reason
            } else if !isFull {
                windows.append(Window(owner: owner, unit: unit, reason: reason, began: now.wall, ends: now.uptime + length))
            }
        }
    }

    /// Finishes what an owner has opened, one level of it. Naming nothing means its window of the whole host; where there is none, all.
    /// - Returns: how many windows it was about; 0 when the owner has none such.
    mutating func finish(_ units: [String], owner: String, at now: Moment, grace: Duration) -> Int {
        let named = Set(names(units))
        var indices = windows.indices.filter { windows[$0].owner == owner && named.contains(windows[$0].unit) }
        if units.isEmpty, indices.isEmpty { indices = windows.indices.filter { windows[$0].owner == owner } }
        var ended: [Window] = []
        for index in indices.reversed() {
            windows[index].depth -= 1
            if windows[index].depth <= 0 { ended.insert(windows.remove(at: index), at: 0) }
        }
        if !ended.isEmpty { endings.append(Ending(windows: ended, hasRunOut: false, graceEnds: now.uptime + grace)) }
        return indices.count
    }

    /// Ends what has run out.
    /// - Returns: endings whose grace is over, and requests not to monitor that are.
    mutating func expire(at now: Moment, grace: Duration) -> (endings: [Ending], unmonitored: [Unmonitored]) {
        if isEmpty { return ([], []) }
        var owners: [String] = []
        for window in windows where window.ends <= now.uptime && !owners.contains(window.owner) { owners.append(window.owner) }
        for owner in owners {
            let ended = windows.filter { $0.owner == owner && $0.ends <= now.uptime }
            endings.append(Ending(windows: ended, hasRunOut: true, graceEnds: now.uptime + grace))
        }
        windows.removeAll { $0.ends <= now.uptime }
        let over = endings.filter { $0.graceEnds <= now.uptime }
        endings.removeAll { $0.graceEnds <= now.uptime }
        func isOver(_ asked: Unmonitored) -> Bool { asked.ends.map { $0 <= now.uptime } ?? false }
        let monitored = unmonitored.filter(isOver)
        unmonitored.removeAll(where: isOver)
        return (over, monitored)
    }

    private func names(_ units: [String]) -> [String?] {
        var names: [String?] = []
        for unit in units where !names.contains(unit) { names.append(unit) }
        return units.isEmpty ? [nil] : names
    }
}

// MARK: Not monitoring

extension Silences {
    mutating func stopMonitoring(_ units: [String], owner: String, reason: String?, at now: Moment, length: Duration?) {
        for unit in names(units) {
            unmonitored.removeAll { $0.unit == unit }
            guard !isFull else { return }
            unmonitored.append(Unmonitored(unit: unit, owner: owner, reason: reason, began: now.wall, ends: length.map { now.uptime + $0 }))
        }
    }

    /// - Returns: what was not monitored and is now.
    mutating func resumeMonitoring(_ units: [String]) -> [Unmonitored] {
        let named = Set(names(units))
        let ended = unmonitored.filter { units.isEmpty || named.contains($0.unit) }
        unmonitored.removeAll { units.isEmpty || named.contains($0.unit) }
        return ended
    }
}

// MARK: Remembering

extension Silences {
    /// Times since boot do not survive a reboot: they are written as clock times.
    func json(at now: Moment) -> JSON {
        func clock(_ uptime: Duration) -> JSON { .string((now.wall + (uptime - now.uptime)).text()) }
        func json(_ window: Window) -> JSON {
            [
                "owner": .string(window.owner), "unit": JSON(window.unit), "reason": JSON(window.reason),
                "depth": .integer(Int64(window.depth)), "began": .string(window.began.text()), "ends": clock(window.ends),
            ]
        }
        return [
            "windows": .array(windows.map(json)),
            "endings": .array(
                endings.map { ["windows": .array($0.windows.map(json)), "ran_out": .bool($0.hasRunOut), "grace_ends": clock($0.graceEnds)] }),
            "unmonitored": .array(
                unmonitored.map {
                    [
                        "owner": .string($0.owner), "unit": JSON($0.unit), "reason": JSON($0.reason), "began": .string($0.began.text()),
                        "ends": $0.ends.map(clock) ?? .null,
                    ]
                }),
        ]
    }

    /// Takes what makes sense of what was written.
    init(_ json: JSON, at now: Moment) {
        func uptime(_ json: JSON?) -> Duration? {
            guard let wall = json?.string.flatMap({ Timestamp($0) }) else { return nil }
            let (left, overflown) = wall.microseconds.subtractingReportingOverflow(now.wall.microseconds)
            // A clock that was far ahead must not silence for years.
            return overflown ? nil : now.uptime + min(.microseconds(left), Self.longestSilence)
        }
        func window(_ json: JSON) -> Window? {
            guard let owner = json["owner"]?.string, let began = json["began"]?.string.flatMap({ Timestamp($0) }), let ends = uptime(json["ends"]),
                let depth = json["depth"]?.integer.flatMap({ Int(exactly: $0) }), (1...Self.most).contains(depth)
            else { return nil }
            return Window(
                owner: owner, unit: json["unit"]?.string, reason: json["reason"]?.string, depth: depth, began: began,
                ends: min(ends, now.uptime + Self.longestDeploy))
        }
        windows = (json["windows"]?.array ?? []).prefix(Self.most).compactMap(window)
        endings = (json["endings"]?.array ?? []).prefix(Self.most).compactMap { ending in
            guard let ends = uptime(ending["grace_ends"]) else { return nil }
            let windows = (ending["windows"]?.array ?? []).prefix(Self.most).compactMap(window)
            return Ending(windows: windows, hasRunOut: ending["ran_out"]?.bool ?? false, graceEnds: ends)
        }
        unmonitored = (json["unmonitored"]?.array ?? []).prefix(Self.most).compactMap { asked in
            guard let owner = asked["owner"]?.string, let began = asked["began"]?.string.flatMap({ Timestamp($0) }) else { return nil }
            return Unmonitored(
                unit: asked["unit"]?.string, owner: owner, reason: asked["reason"]?.string, began: began, ends: uptime(asked["ends"]))
        }
    }
}
