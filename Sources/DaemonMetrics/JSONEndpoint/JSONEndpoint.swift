// Asks any page of JSON.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `url` (required), `username`, `password`, `password_file`, `ca_file`. A metric is the path of a number:
    /// `queues[0].length`, `["a name with blanks"].count`. True is 1, false is 0.
    static func json(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "json") { parameters in
            var reader = ParameterReader(parameters)
            let request = reader.page(port: nil, path: nil)
            let page = request.map { Page($0, remedy: "is this the right url?", answer: jsonAnswer) }
            return reader.finished(page.map { .fetching($0, "json", transfers) } as LoopReader?)
        }
    }
}

func jsonAnswer(_ bytes: [UInt8], _ metrics: [String]) -> DaemonAnswer {
    do throws(JSONError) {
        let document = try JSON(parsing: bytes)
        var told: [String: Double] = [:]
        for metric in metrics {
            guard let path = JSONPath(metric) else {
                return .failure(DaemonError("\(seen(metric)) is no path: write it as a.b[0].c, or [\"a b\"].c"))
            }
            switch path.value(in: document) {
            case .bool(let value): told[metric] = value ? 1 : 0
            case let value: told[metric] = value?.finiteNumber
            }
        }
        return .success(told)
    } catch {
        return .failure(DaemonError("the page is not JSON (\(error)): \(seen(bytes))"))
    }
}

/// Where a value is in a JSON document.
struct JSONPath: Equatable {
    enum Step: Equatable {
        case member(String)
        case item(Int)
    }

    let steps: [Step]

    /// `nil` when the text is no path.
    init?(_ text: String) {
        var steps: [Step] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            if rest.hasPrefix("[\"") {
                guard let end = rest.dropFirst(2).firstIndex(of: "\""), rest[end...].hasPrefix("\"]") else { return nil }
                steps.append(.member(String(rest[rest.index(rest.startIndex, offsetBy: 2)..<end])))
                rest = rest[end...].dropFirst(2)
            } else if rest.first == "[" {
                guard let end = rest.firstIndex(of: "]"), let number = Int(rest[..<end].dropFirst()), number >= 0 else { return nil }
                steps.append(.item(number))
                rest = rest[end...].dropFirst()
            } else {
                if !steps.isEmpty {
                    guard rest.first == "." else { return nil }
                    rest = rest.dropFirst()
                }
                let name = rest.prefix { $0 != "." && $0 != "[" && $0 != "]" }
                guard !name.isEmpty else { return nil }
                steps.append(.member(String(name)))
                rest = rest[name.endIndex...]
            }
        }
        guard !steps.isEmpty, steps.count <= 32 else { return nil }
        self.steps = steps
    }

    func value(in document: JSON) -> JSON? {
        var value = document
        for step in steps {
            let next: JSON? =
                switch step {
                case .member(let name): value[name]
                case .item(let number): value.array.flatMap { $0.indices.contains(number) ? $0[number] : nil }
                }
            guard let next else { return nil }
            value = next
        }
        return value
    }
}

extension JSON {
    /// Any number but those that are too large for one.
    var finiteNumber: Double? { number.flatMap { $0.isFinite ? $0 : nil } }
}
