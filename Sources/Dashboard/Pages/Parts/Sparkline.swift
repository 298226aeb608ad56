// A metric's last hour as a small picture, with its numbers in words.

import AgentAPI
import AggregatorCore
import Platform

struct Sparkline {
    static let span = Duration.seconds(3600)
    static let points = 60

    private static let width = 120.0
    private static let height = 28.0

    /// What it shows: `CPU of puma.service`.
    var subject: String
    /// Unique in its page.
    var id: String
    var series: Series
    var marks: [DeployMark] = []

    /// `nil` when there is nothing to draw a line between.
    func html(at now: Timestamp) -> HTML? {
        let values = series.points.map(\.value)
        guard values.count >= 2, let lowest = values.min(), let highest = values.max(), let last = values.last else { return nil }
        let quantity = Quantity(metric: series.metric)
        let words =
            "\(quantity.text(last)) at the end, between \(quantity.text(lowest)) and \(quantity.text(highest)), from \(clockText(series.points[0].at))\(markWords(at: now))"
        let lines = stretches.map { stretch in stretch.map { place($0, highest: highest, at: now) } }
        return svg(
            .class("spark"), Attribute("viewBox", "0 0 120 28"), Attribute("preserveAspectRatio", "none"), .role("img"),
            Attribute("aria-labelledby", "\(id)-title \(id)-desc")
        ) {
            svgTitle(.id("\(id)-title")) { "\(subject), last hour" }
            desc(.id("\(id)-desc")) { words }
            path(.class("area"), Attribute("d", lines.map(area).joined())) {}
            path(.class("line"), Attribute("d", lines.map(line).joined()), Attribute("vector-effect", "non-scaling-stroke")) {}
            for mark in visibleMarks(at: now) {
                path(
                    .class(mark.verdict == .verified ? "mark verified" : "mark"), Attribute("d", upright(mark, at: now)),
                    Attribute("vector-effect", "non-scaling-stroke")
                ) {}
            }
        }
    }

    private func visibleMarks(at now: Timestamp) -> [DeployMark] { marks.filter { $0.at <= now && now - $0.at < Self.span } }

    private func markWords(at now: Timestamp) -> String {
        visibleMarks(at: now).map { "; a deploy at \(clockText($0.at)): \(Badge($0.verdict).word.lowercased())" }.joined()
    }

    /// A line from top to bottom; broken for a deploy that is not verified, so that nobody needs to see its colour.
    private func upright(_ mark: DeployMark, at now: Timestamp) -> String {
        let x = decimal(Self.width * (1 - (now - mark.at).inSeconds / Self.span.inSeconds), places: 1)
        return mark.verdict == .verified ? "M\(x) 0V28" : "M\(x) 0V7M\(x) 10V17M\(x) 20V28"
    }

    /// The points in runs without a gap: where several in a row are missing, nothing was measured, and no line pretends otherwise.
    private var stretches: [[Series.Point]] {
        let gaps = zip(series.points, series.points.dropFirst()).map { ($1.at - $0.at).inSeconds }
        let usual = gaps.sorted()[gaps.count / 2]
        var stretches: [[Series.Point]] = [[series.points[0]]]
        for (gap, point) in zip(gaps, series.points.dropFirst()) {
            if gap > max(3 * usual, 1) { stretches.append([]) }
            stretches[stretches.count - 1].append(point)
        }
        return stretches
    }

    private func place(_ point: Series.Point, highest: Double, at now: Timestamp) -> (x: Double, y: Double) {
        let age = min(max((now - point.at).inSeconds / Self.span.inSeconds, 0), 1)
        let share = highest > 0 ? min(max(point.value / highest, 0), 1) : 0
        return (Self.width * (1 - age), Self.height - 2 - share * (Self.height - 4))
    }

    private func line(_ places: [(x: Double, y: Double)]) -> String {
        // One point alone shows as a dot, which is a line of no length.
        (places.count == 1 ? places + places : places).enumerated().map {
            "\($0 == 0 ? "M" : "L")\(decimal($1.x, places: 1)) \(decimal($1.y, places: 1))"
        }
        .joined()
    }

    private func area(_ places: [(x: Double, y: Double)]) -> String {
        guard let first = places.first, let last = places.last else { return "" }
        return "\(line(places))L\(decimal(last.x, places: 1)) 28L\(decimal(first.x, places: 1)) 28Z"
    }
}
