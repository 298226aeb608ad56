// What `rollcall.conf` says, as values: `set KEY VALUE` and `send alerts via CHANNEL with ...`.

public import Platform

/// A `rollcall.conf`. Which keys exist and what their values mean is decided by who reads them.
public struct SettingsFile: Equatable, Sendable {
    /// In written order, each key once.
    public var settings: [Setting]
    public var routes: [AlertRoute]

    public init(settings: [Setting] = [], routes: [AlertRoute] = []) {
        self.settings = settings
        self.routes = routes
    }

    /// A setting, if it was given.
    public func setting(_ key: String) -> Setting? { settings.first { $0.key == key } }
}

/// `set KEY VALUE`
public struct Setting: Equatable, Sendable {
    public var key: String
    public var value: String
    /// Of the key.
    public var place: Place
    public var valuePlace: Place

    public init(key: String, value: String, place: Place, valuePlace: Place) {
        self.key = key
        self.value = value
        self.place = place
        self.valuePlace = valuePlace
    }
}

/// `send alerts [to ROUTE] via CHANNEL with KEY VALUE, ...`; `via null` needs no parameters.
public struct AlertRoute: Equatable, Sendable {
    /// `nil` is the default route.
    public var name: String?
    public var channel: String
    public var parameters: [Parameter]
    /// Of its `send`.
    public var place: Place

    public init(name: String?, channel: String, parameters: [Parameter], place: Place) {
        self.name = name
        self.channel = channel
        self.parameters = parameters
        self.place = place
    }
}

extension SettingsFile {
    /// Reads a `rollcall.conf`: what was understood, also when there are faults, and all faults in the order of their places.
    public static func parse(_ bytes: [UInt8], file: String) -> (file: SettingsFile, faults: [Fault]) {
        parse(SourceText(bytes: bytes, file: file))
    }

    public static func parse(_ text: String, file: String) -> (file: SettingsFile, faults: [Fault]) {
        parse(SourceText(text, file: file))
    }

    public static func parse(_ source: SourceText) -> (file: SettingsFile, faults: [Fault]) {
        var parser = SettingsParser(source)
        let file = parser.file()
        return (file, parser.reader.faults.all)
    }
}

private let statements: Set = ["set", "send"]

private struct SettingsParser {
    var reader: TokenReader
    /// In which line each key and each route was given first.
    private var settingLines: [String: Int] = [:]
    private var routeLines: [String?: Int] = [:]

    init(_ source: SourceText) { reader = TokenReader(source, dialect: .settings) }

    mutating func file() -> SettingsFile {
        var file = SettingsFile()
        while !reader.isAtEnd {
            if reader.take("set") {
                set(into: &file)
            } else if reader.take("send") {
                send(into: &file)
            } else {
                lost(into: &file)
            }
        }
        return file
    }

    private mutating func set(into file: inout SettingsFile) {
        guard let key = reader.name("the name of a setting", before: statements), !isMissing(after: key) else { return }
        let valuePlace = reader.current.place
        guard let value = reader.name("a value for \(quoted(key.text))", before: statements, mayBeEmpty: true) else { return }
        if let line = settingLines[key.text] {
            reader.faults.add("\(quoted(key.text)) was set before, in line \(line)", at: key.place, help: "leave one of the two out")
        } else {
            settingLines[key.text] = key.place.line
            file.settings.append(Setting(key: key.text, value: value.text, place: key.place, valuePlace: valuePlace))
        }
    }

    /// `set hostname` and then, in the next line, a misspelt `set` with all that belongs to it.
    private mutating func isMissing(after key: Token) -> Bool {
        // With a name behind it, it could not be a value.
        guard reader.isAtName, reader.isNameFollowing, reader.current.kind == .word, reader.current.place.line != key.place.line,
            nearest(to: reader.current.text, among: statements) != nil
        else { return false }
        reader.faults.add("found \(reader.current.description), expected a value for \(quoted(key.text))", at: reader.current.place)
        return true
    }

    private mutating func send(into file: inout SettingsFile) {
        let place = reader.previous?.place ?? reader.current.place
        guard reader.takeNearly("alerts") else {
            reader.fault(expected: "`alerts` after `send`")
            return skipStatement()
        }
        var name: String?
        if reader.take("to") {
            guard let route = reader.name("the name of a route", before: statements.union(["via", "with"])) else { return skipStatement() }
            name = route.text
        }
        guard reader.takeNearly("via") else {
            reader.fault(expected: name == nil ? "`to ROUTE` or `via CHANNEL`" : "`via CHANNEL`")
            return skipStatement()
        }
        guard let channel = reader.name("the name of a channel", before: statements.union(["with"])) else { return skipStatement() }
        var parameters: [Parameter] = []
        if reader.takeNearly("with") {
            reader.parameters(into: &parameters, before: statements)
        } else if channel.text != "null" {  // there is nothing to say about nobody
            reader.fault(expected: "`with` and the channel's parameters")
            return skipStatement()
        }
        if let line = routeLines[name] {
            let what = name.map { "the route \(quoted($0))" } ?? "the default route"
            reader.faults.add(
                "\(what) was given before, in line \(line)", at: place,
                help: "leave one of the two out, or give it a name: `send alerts to NAME via ...`")
        } else {
            routeLines[name] = place.line
            file.routes.append(AlertRoute(name: name, channel: channel.text, parameters: parameters, place: place))
        }
    }

    /// Neither `set` nor `send`.
    private mutating func lost(into file: inout SettingsFile) {
        let token = reader.current
        let isNewLine = token.place.line != reader.previous?.place.line
        if token.kind == .word, isNewLine, let meant = nearest(to: token.text, among: statements.sorted()) {
            reader.fault(expected: "`\(meant)`", help: reader.slip(for: meant))
            reader.advance()
            return meant == "set" ? set(into: &file) : send(into: &file)
        }
        let help = isNewLine ? nil : reader.isAtName ? "a value of several words needs quotes" : nil
        reader.fault(expected: "`set KEY VALUE`, `send alerts ...` or the end of the file", help: help)
        reader.advance()
        skipStatement()
    }

    /// Goes on to the next statement, also to one whose `set` or `send` is missing or misspelt: it begins in a line of its own.
    private mutating func skipStatement() {
        while !reader.isAtEnd, !reader.isAt(statements) {
            if reader.current.kind == .word, reader.current.place.line != reader.previous?.place.line { return }
            reader.advance()
        }
    }
}
