// Asks any page in Prometheus's text format.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `url`, or `hostname`, `port` (default 9090), `endpoint` (default /metrics); `username`, `password`, `password_file`,
    /// `ca_file`. A metric is a name, summed over all its label sets, or `name{label="value"}`, summed over those with these labels.
    static func prometheus(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "prometheus") { parameters in
            var reader = ParameterReader(parameters)
            let request = reader.page(port: 9090, path: "/metrics").map { request in
                var request = request
                request.headers = [("Accept", "text/plain;version=0.0.4")]
                return request
            }
            let page = request.map { Page($0, remedy: "is this the address of its metrics?", answer: prometheusAnswer) }
            return reader.finished(page.map { .fetching($0, "prometheus", transfers) } as LoopReader?)
        }
    }
}

/// The sums of the selected series. Series that are no number (NaN, infinity) are left out.
func prometheusAnswer(_ bytes: [UInt8], _ metrics: [String]) -> DaemonAnswer {
    var selectors: [(metric: String, selector: SeriesSelector)] = []
    for metric in metrics {
        guard let selector = SeriesSelector(metric) else {
            return .failure(DaemonError("\(seen(metric)) selects nothing: write it as name, or name{label=\"value\"}"))
        }
        selectors.append((metric, selector))
    }
    var told: [String: Double] = [:]
    for line in Lines(bytes) {
        let line = trimmed(line)
        if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
        guard let series = Series(line) else { return .failure(DaemonError("this is not Prometheus's text format: \(seen(line))")) }
        for (metric, selector) in selectors where selector.selects(series) {
            if let value = series.value { told[metric, default: 0] += value }
        }
    }
    return .success(told)
}

/// One line: a name, labels, a value, and perhaps a time, which is left alone.
struct Series: Equatable {
    var name: ArraySlice<UInt8>
    var labels: Labels
    /// `nil` when it is not a finite number.
    var value: Double?

    init?(_ line: ArraySlice<UInt8>) {
        guard let labels = Labels(after: line) else { return nil }
        name = labels.name
        self.labels = labels
        let rest = line[labels.end...]
        guard let first = rest.first, first == 32 || first == 9 else { return nil }
        guard let word = words(of: rest, limit: 1).first else { return nil }
        if let value = number(word) {
            self.value = value
        } else {
            guard ["NaN", "+Inf", "-Inf", "Inf", "nan", "inf", "+inf", "-inf"].contains(text(word)) else { return nil }
            value = nil
        }
    }
}

/// What a name and the braces behind it hold.
struct Labels: Equatable {
    let name: ArraySlice<UInt8>
    private(set) var pairs: [(name: ArraySlice<UInt8>, value: [UInt8])] = []
    /// Where they end.
    private(set) var end: Int

    static func == (a: Labels, b: Labels) -> Bool { a.name == b.name && a.pairs.elementsEqual(b.pairs) { $0 == $1 } && a.end == b.end }

    /// Reads the name and labels that `line` begins with.
    init?(after line: ArraySlice<UInt8>) {
        let limit = line.endIndex
        var at = line.startIndex
        func word() -> ArraySlice<UInt8>? {
            let start = at
            while at < limit, isPartOfName(line[at]) { at += 1 }
            return at > start && !(line[start] >= 48 && line[start] <= 57) ? line[start..<at] : nil
        }
        func skipBlanks() { while at < limit, line[at] == 32 || line[at] == 9 { at += 1 } }
        func take(_ byte: UInt8) -> Bool {
            guard at < limit, line[at] == byte else { return false }
            at += 1
            return true
        }
        guard let name = word() else { return nil }
        self.name = name
        end = at
        guard take(UInt8(ascii: "{")) else { return }
        skipBlanks()
        while !take(UInt8(ascii: "}")) {
            guard let label = word() else { return nil }
            skipBlanks()
            guard take(UInt8(ascii: "=")) else { return nil }
            skipBlanks()
            guard take(UInt8(ascii: "\"")) else { return nil }
            var value: [UInt8] = []
            while true {
                guard at < limit else { return nil }
                let byte = line[at]
                at += 1
                if byte == UInt8(ascii: "\"") { break }
                guard byte == UInt8(ascii: "\\") else {
                    value.append(byte)
                    continue
                }
                guard at < limit else { return nil }
                value.append(line[at] == UInt8(ascii: "n") ? 10 : line[at])
                at += 1
            }
            pairs.append((label, value))
            skipBlanks()
            if take(UInt8(ascii: ",")) {
                skipBlanks()
            } else if at >= limit || line[at] != UInt8(ascii: "}") {
                return nil
            }
        }
        end = at
    }
}

/// A letter, a digit, `_` or `:`.
private func isPartOfName(_ byte: UInt8) -> Bool {
    let letter = byte | 32
    return letter >= 97 && letter <= 122 || byte >= 48 && byte <= 58 || byte == 95
}

/// What a rule selects: a name, and labels that a series must have beside any others.
struct SeriesSelector {
    private let wanted: Labels

    /// `nil` when the text is none.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard let labels = Labels(after: bytes[...]), labels.end == bytes.count else { return nil }
        wanted = labels
    }

    func selects(_ series: Series) -> Bool {
        series.name == wanted.name
            && wanted.pairs.allSatisfy { pair in
                series.labels.pairs.contains { $0.name == pair.name && $0.value == pair.value }
            }
    }
}
