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
    for index in file.dependencies.indices { file.dependencies[index].place = nowhere }
    for index in file.rules.indices {
        file.rules[index].place = nowhere
        file.rules[index].condition = withoutPlaces(file.rules[index].condition)
        file.rules[index].clear?.place = nowhere
        for action in file.rules[index].actions.indices { file.rules[index].actions[action].place = nowhere }
        for action in file.rules[index].recoveryActions.indices { file.rules[index].recoveryActions[action].place = nowhere }
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
        #expect(rule.text == "if cpu > 90.4% then alert")
    }

    @Test(arguments: [
        (1.0, "1"), (0.1, "0.1"), (-2.5, "-2.5"), (1e17, "100000000000000000"), (1e-9, "0"), (1e300, "4611686018427387904"), (.nan, "0"),
        (-.infinity, "-4611686018427387904"),
    ])
    func everyThresholdCanBeWritten(value: Double, text: String) throws {
        let place = Place(line: 1, column: 1)
        let comparison = Comparison(
            metric: MetricName("cpu"), operator: .above, threshold: Amount(value: value, text: ""), metricPlace: place, thresholdPlace: place)
        #expect(comparison.text == "cpu > \(text)")
        #expect(try Amount(parsing: text).text == text)
    }

    private func randomFile(_ random: inout Numbers) -> RuleFile {
        var maker = FileMaker(random: random)
        defer { random = maker.random }
        return maker.file()
    }
}

/// Makes values of everything that a file can say.
private struct FileMaker {
    var random: Numbers
    private let place = Place(line: 0, column: 0)

    init(random: Numbers) { self.random = random }

    mutating func file() -> RuleFile {
        var file = RuleFile(subject: [.service(name()), .host, .failedUnits, .jobs].randomElement(using: &random) ?? .host)
        for _ in 0..<number(0, 2) {
            let key = name()
            if file.parameter(key) == nil { file.parameters.append(Parameter(key: key, value: mayBeEmptyName(), place: place)) }
        }
        if file.subject == .jobs {
            for _ in 0...number(0, 2) {
                let name = name()
                guard !file.jobs.contains(where: { $0.name == name }) else { continue }
                file.jobs.append(
                    Job(
                        name: name, schedule: flip() ? .every(.seconds(60 * number(1, 3000))) : .cron(cron()), grace: flip() ? duration() : nil,
                        longestRun: flip() ? duration() : nil, place: place))
            }
            return file
        }
        if case .service(let own) = file.subject {
            for _ in 0..<number(0, 2) {
                let name = name()
                guard name != own, !file.dependencies.contains(where: { $0.name == name }) else { continue }
                file.dependencies.append(Dependency(name: name, place: place))
            }
            for _ in 0..<number(0, 2) { file.exposes.append(name()) }
        }
        for _ in 0..<number(0, 3) { file.rules.append(rule()) }
        return file
    }

    private mutating func rule() -> Rule {
        let condition = condition(depth: 0)
        return Rule(
            condition: condition, persistence: persistence(mayBeTimes: true), clear: flip() ? clear(of: condition) : nil,
            window: flip() ? (flip() ? .during(window()) : .except(window())) : nil,
            importance: flip() ? Importance.allCases.randomElement(using: &random) : nil, actions: actions(),
            recoveryActions: flip() ? actions() : [], place: place)
    }

    private mutating func condition(depth: Int) -> Condition {
        switch depth < 3 ? number(0, 5) : 0 {
        case 0...3: return .comparison(comparison())
        case 4: return .all((0...number(1, 2)).map { _ in condition(depth: depth + 1) })
        default: return .any((0...number(1, 2)).map { _ in condition(depth: depth + 1) })
        }
    }

    private mutating func comparison() -> Comparison {
        Comparison(
            metric: MetricName(name(), flip() ? name() : nil), operator: sign(), threshold: amount(), isOfEachWorker: flip(), metricPlace: place,
            thresholdPlace: place)
    }

    private mutating func persistence(mayBeTimes: Bool) -> Persistence {
        switch number(0, mayBeTimes ? 2 : 1) {
        case 0: return .cycles(number(1, 9))
        case 1: return .time(duration())
        default:
            let cycles = number(1, 1000)
            return .times(number(1, cycles), withinCycles: cycles)
        }
    }

    private mutating func clear(of condition: Condition) -> Clear {
        let hasLevel = condition.comparisons.count == 1 && flip()
        return Clear(level: hasLevel ? Clear.Level(sign(), amount()) : nil, persistence: persistence(mayBeTimes: false), place: place)
    }

    private mutating func window() -> TimeWindow {
        if number(0, 3) == 0 { return TimeWindow(cron()) }
        return TimeWindow(
            (0...number(0, 2)).map { _ in
                let days = Set((0...6).filter { _ in flip() })
                return TimeWindow.Stretch(days: days.isEmpty ? [0] : days, from: number(0, 1439), to: number(0, 1440))
            })
    }

    private mutating func cron() -> CronExpression {
        let texts = ["* * * * *", "*/5 9-17 * * 1-5", "@daily", "0 3 1,15 * fri", "30 2 29 feb *", "0 0 */2 * 1"]
        return (try? texts.randomElement(using: &random).map { try CronExpression(parsing: $0) })
            ?? CronExpression(minutes: [0], hours: [0], daysOfMonth: nil, months: [1], daysOfWeek: nil, text: "0 0 * 1 *")
    }

    private mutating func actions() -> [Action] {
        (0...number(0, 2)).map { _ in Action(kind(), place: place) }
    }

    private mutating func kind() -> Action.Kind {
        switch number(0, 7) {
        case 0: return .alert(route: nil)
        case 1: return .alert(route: name())
        case 2: return .reload
        case 3: return .restart
        case 4: return .start
        case 5: return .stop
        case 6:
            let count = number(1, 4)
            return .signal((1...count).map { SignalStep(signal: Int32(number(1, 31)), wait: $0 < count ? duration() : nil) })
        default:
            let arguments = ["/bin/x"] + (0..<number(0, 3)).map { _ in mayBeEmptyName() + mayBeEmptyName() }
            return .exec(Command(arguments: arguments, user: flip() ? name() : nil, timeout: flip() ? duration() : Command.defaultTimeout))
        }
    }

    private mutating func amount() -> Amount {
        let texts = ["0", "-5", "500m", "90%", "7k/sec", "8191P", "1.5g", "0.5", "30s", "5min", "1.25h"]
        return texts.randomElement(using: &random).flatMap { try? Amount(parsing: $0) } ?? Amount(value: 1, text: "1")
    }

    private mutating func sign() -> Comparison.Operator { Comparison.Operator.allCases.randomElement(using: &random) ?? .above }

    private mutating func duration() -> Duration {
        let units: [Duration] = [.milliseconds(1), .seconds(1), .seconds(60), .seconds(3600), .seconds(86400)]
        return (units.randomElement(using: &random) ?? .seconds(1)) * number(1, 100)
    }

    private mutating func name() -> String {
        let name = mayBeEmptyName()
        return name.isEmpty ? "x" : name
    }

    private mutating func mayBeEmptyName() -> String {
        [
            "puma", "it", "wit", "fro", "than", "cycle", "else", "elze", "and", "or", "hapens", "chekc", "if", "alert", "", "a b", "\"", "'", "\\",
            "ä",
            "日本", "#x", "x#y", "a:b", "(", "\t\n\r\u{1}\u{7F}", "/var/log", "minutes", "\u{FEFF}x", "e\u{301}", "5", "30s", "depends", "on", "each",
            "worker", "down", "times", "within", "clear", "during", "except", "as", "error", "stop", "exec", "signal", "timeout", "for", "at", "most",
            "==", "!=5", "=", "|", "$x", "failed", "units",
        ]
        .randomElement(using: &random) ?? ""
    }

    private mutating func number(_ least: Int, _ most: Int) -> Int { Int.random(in: least...most, using: &random) }
    private mutating func flip() -> Bool { Bool.random(using: &random) }
}
