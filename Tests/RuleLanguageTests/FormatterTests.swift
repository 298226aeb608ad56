import Platform
import RuleLanguage
import Testing

/// The same values at no place in particular.
private func withoutPlaces(_ file: RuleFile) -> RuleFile {
    let nowhere = Place(line: 0, column: 0)
    var file = file
    file.place = nowhere
    for index in file.parameters.indices { file.parameters[index].place = nowhere }
    for index in file.jobs.indices { file.jobs[index].place = nowhere }
    for index in file.rules.indices {
        file.rules[index].place = nowhere
        file.rules[index].condition = withoutPlaces(file.rules[index].condition)
        for action in file.rules[index].actions.indices { file.rules[index].actions[action].place = nowhere }
    }
    return file
}

private func withoutPlaces(_ condition: Condition) -> Condition {
    let nowhere = Place(line: 0, column: 0)
    switch condition {
    case .comparison(var comparison):
        comparison.metricPlace = nowhere
        comparison.thresholdPlace = nowhere
        return .comparison(comparison)
    case .all(let parts): return .all(parts.map(withoutPlaces))
    case .any(let parts): return .any(parts.map(withoutPlaces))
    }
}

@Suite struct FormatterTests {
    @Test func whatIsWrittenIsReadBackAsTheSameValues() throws {
        var random = Numbers(seed: 7)
        for _ in 0..<2500 {
            let file = randomFile(&random)
            let parsed = RuleFile.parse(file.text, file: "t")
            guard parsed.faults.isEmpty, let read = parsed.file, withoutPlaces(read) == withoutPlaces(file), read.text == file.text else {
                Issue.record("not the same: \(file.text) \(parsed.faults)")
                return
            }
            // Lines mean nothing: not all in one, and not one for each word.
            for (old, new) in [("\n", " "), (" ", "\n")] where !file.text.contains("\"") {
                let text = String(file.text.map { String($0) == old ? Character(new) : $0 })
                let parsed = RuleFile.parse(text, file: "t")
                guard parsed.faults.isEmpty, let read = parsed.file, withoutPlaces(read) == withoutPlaces(file) else {
                    Issue.record("not the same: \(text) \(parsed.faults)")
                    return
                }
            }
        }
    }

    @Test func aThresholdWhoseTextSaysSomethingElseIsWrittenByItsValue() {
        let place = Place(line: 1, column: 1)
        let comparison = Comparison(
            metric: MetricName("cpu"), operator: .above, threshold: Amount(value: 90.4, percent: true, text: "nonsense"), metricPlace: place,
            thresholdPlace: place)
        let rule = Rule(condition: .comparison(comparison), actions: [Action(.alert(route: nil), place: place)], place: place)
        #expect(rule.text == "if cpu > 90% then alert")
    }

    private func randomFile(_ random: inout Numbers) -> RuleFile {
        let place = Place(line: 0, column: 0)
        func name() -> String {
            [
                "puma", "it", "wit", "fro", "than", "cycle", "else", "and", "or", "hapens", "chekc", "if", "alert", "", "a b", "\"", "\\", "ä", "日本",
                "#x", "x#y", "a:b", "(", "\t\n\r\u{1}\u{7F}", "/var/log", "minutes",
                "\u{FEFF}x", "e\u{301}", "5",
            ]
            .randomElement(using: &random) ?? ""
        }
        func someName() -> String {
            let some = name()
            return some.isEmpty ? "x" : some
        }
        var file = RuleFile(subject: [.service(someName()), .host, .jobs].randomElement(using: &random) ?? .host)
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            let key = someName()
            if file.parameter(key) == nil { file.parameters.append(Parameter(key: key, value: name(), place: place)) }
        }
        if file.subject == .jobs {
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let name = someName()
                guard !file.jobs.contains(where: { $0.name == name }) else { continue }
                file.jobs.append(Job(name: name, schedule: .every(.seconds(60 * Int.random(in: 1...3000, using: &random))), place: place))
            }
            return file
        }
        if file.subject != .host { for _ in 0..<Int.random(in: 0...2, using: &random) { file.exposes.append(someName()) } }
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let amount = ["0", "-5", "500m", "90%", "7k/sec", "8191P"].randomElement(using: &random).flatMap { try? Amount(parsing: $0) }
            let actions = (0...Int.random(in: 0...2, using: &random)).map { _ in
                let kinds: [Action.Kind] = [.alert(route: nil), .alert(route: someName()), .reload, .restart]
                return Action(kinds.randomElement(using: &random) ?? .reload, place: place)
            }
            file.rules.append(
                Rule(
                    condition: .comparison(
                        Comparison(
                            metric: MetricName(someName(), Bool.random(using: &random) ? someName() : nil),
                            operator: Bool.random(using: &random) ? .above : .below, threshold: amount ?? Amount(value: 1, text: "1"),
                            metricPlace: place, thresholdPlace: place)),
                    persistence: .cycles(Int.random(in: 1...9, using: &random)), actions: actions, place: place))
        }
        return file
    }
}
