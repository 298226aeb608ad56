// What is to be told, as a file: it survives the agent.

import AgentAPI
public import Platform

extension AlertDesk {
    /// What has to survive, without the configuration.
    var json: JSON {
        let aggregatorJSON: JSON
        if case .unreachable(let since, true)? = aggregator {
            aggregatorJSON = ["unreachable_since": .string(since.wall.text())]
        } else {
            aggregatorJSON = .null
        }
        return [
            "version": 1, "last_id": .integer(Int64(clamping: outbox.lastID)), "aggregator": aggregatorJSON,
            "problems": .array(
                problems.sorted { $0.key < $1.key }.flatMap(\.value).map {
                    ["event": $0.beginning.unnumbered, "told": .bool($0.isTold)]
                }),
            "unheard": .array(unheard.map(\.unnumbered)),
            "gathering": .array(
                sorted(gatherings).filter { !$0.value.isEmpty }.map { route, gathering in
                    [
                        "route": JSON(route), "items": .array(gathering.items.map(\.json)), "more": .integer(Int64(gathering.more)),
                        "notes": .array(gathering.notes.map(\.json)),
                    ]
                }),
            "outbox": .array(outbox.entries.map { ["alert": $0.alert.json, "attempts": .integer(Int64($0.attempts))] }),
            "dropped": .array(sorted(outbox.dropped).map { ["route": JSON($0.key), "count": .integer(Int64($0.value))] }),
        ]
    }

    /// How large the file can be at most.
    static let largestFile = 64 << 20

    /// Takes up what an earlier life of the agent has left.
    /// - Returns: how many things in it were not understood, and are gone.
    public mutating func resume(from json: JSON, at now: Moment) -> Int {
        guard json["version"]?.integer == 1 else { return 1 }
        var faults = 0
        func events(_ json: JSON?, limit: Int) -> [Event] {
            (json?.array ?? []).prefix(limit).compactMap { item in
                if let event = try? Event(unnumbered: item) { return event }
                faults += 1
                return nil
            }
        }
        if aggregator != nil, let since = json["aggregator"]?["unreachable_since"]?.string.flatMap({ Timestamp($0) }) {
            aggregator = .unreachable(since: Moment(wall: since, uptime: now.uptime), hasTakenOver: true)
        }
        for item in (json["problems"]?.array ?? []).prefix(Self.rememberedProblems) {
            guard let event = item["event"].flatMap({ try? Event(unnumbered: $0) }), let isTold = item["told"]?.bool else {
                faults += 1
                continue
            }
            guard problems[event.problem].map({ $0.count < Self.mostChecks }) ?? true else { continue }
            problems[event.problem, default: []].append(Problem(beginning: event, isTold: isTold))
        }
        unheard = events(json["unheard"], limit: Self.rememberedHappenings)
        for item in (json["gathering"]?.array ?? []).prefix(1000) {
            var gathering = Gathering()
            // What an agent wrote before there were items.
            for event in events(item["events"], limit: Gathering.most) { gathering.add(event, at: now) }
            for entry in (item["items"]?.array ?? []).prefix(Gathering.most) {
                let count = Int(clamping: entry["count"]?.integer ?? 0)
                if let item = AlertItem(events(entry["events"], limit: AlertItem.mostEvents), count: count) { gathering.add(item) }
            }
            gathering.more = Int(clamping: max(0, min(item["more"]?.integer ?? 0, 1_000_000)))
            gathering.notes = (item["notes"]?.array ?? []).prefix(4).compactMap(Note.init)
            gathering.since = now.uptime
            if !gathering.isEmpty { gatherings[item["route"]?.string] = gathering }
        }
        outbox.resume(from: json, faults: &faults)
        return faults
    }
}

extension AlertOutbox {
    fileprivate mutating func resume(from json: JSON, faults: inout Int) {
        lastID = json["last_id"]?.integer.flatMap { UInt64(exactly: $0) } ?? 0
        for item in (json["outbox"]?.array ?? []).prefix(Self.longest) {
            guard let alert = item["alert"].flatMap({ try? OutgoingAlert($0) }), !entries.contains(where: { $0.alert.id == alert.id }) else {
                faults += 1
                continue
            }
            entries.append(Entry(alert: alert, attempts: Int(clamping: max(0, item["attempts"]?.integer ?? 0))))
            lastID = max(lastID, alert.id)
        }
        for item in (json["dropped"]?.array ?? []).prefix(1000) {
            dropped[item["route"]?.string] = Int(clamping: max(0, min(item["count"]?.integer ?? 0, 1_000_000)))
        }
    }
}

extension AlertItem {
    fileprivate var json: JSON { ["events": .array(events.map(\.unnumbered)), "count": .integer(Int64(count))] }
}

extension AlertDesk.Note {
    fileprivate var json: JSON {
        switch self {
        case .takingOver(let since): ["taking_over_since": .string(since.text())]
        case .aggregatorIsBack(let since): ["back_since": .string(since.text())]
        }
    }

    fileprivate init?(_ json: JSON) {
        if let since = json["taking_over_since"]?.string.flatMap({ Timestamp($0) }) {
            self = .takingOver(since: since)
        } else if let since = json["back_since"]?.string.flatMap({ Timestamp($0) }) {
            self = .aggregatorIsBack(since: since)
        } else {
            return nil
        }
    }
}

private func sorted<Value>(_ byRoute: [String?: Value]) -> [(key: String?, value: Value)] { byRoute.sorted { ($0.key ?? "") < ($1.key ?? "") } }
