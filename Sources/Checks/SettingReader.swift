// Reads settings and gathers every fault.

public import Platform

/// Takes settings one by one; whatever is left at the end is unknown to the kind. A setting that is absent is `nil`, and so is one
/// that is wrong: that one is in `errors` too.
public struct SettingReader {
    private var left: [String: Setting]
    public private(set) var errors: [SettingError] = []

    public init(_ settings: [String: Setting]) { left = settings }

    public mutating func fault(_ key: String, _ problem: String) { errors.append(SettingError(key: key, problem: problem)) }

    /// The value, when there are no faults. Everything that should be read has been read by now.
    public mutating func finished<Value>(_ value: Value?) -> Result<Value, SettingErrors> {
        for key in left.keys.sorted() { fault(key, "is not a setting here") }
        left = [:]
        if errors.isEmpty, let value { return .success(value) }
        return .failure(SettingErrors(errors))
    }

    public mutating func text(_ key: String) -> String? {
        switch left.removeValue(forKey: key) {
        case .text(let text): return text
        case nil: return nil
        default:
            fault(key, "must be one value, not a list or a map")
            return nil
        }
    }

    public mutating func required(_ key: String) -> String? {
        guard left[key] != nil else {
            fault(key, "is missing")
            return nil
        }
        return text(key)
    }

    /// One value, or a list of them.
    public mutating func texts(_ key: String) -> [String]? {
        switch left.removeValue(forKey: key) {
        case .text(let text): return [text]
        case .list(let items):
            let texts = items.compactMap { item in if case .text(let text) = item { text } else { nil } }
            if texts.count != items.count || texts.isEmpty { fault(key, "must be one value or a list of values") }
            return texts
        case .map:
            fault(key, "must be one value or a list of values")
            return nil
        case nil: return nil
        }
    }

    public mutating func map(_ key: String) -> [String: String]? {
        switch left.removeValue(forKey: key) {
        case .map(let members):
            var values: [String: String] = [:]
            for (name, member) in members {
                if case .text(let text) = member { values[name] = text } else { fault("\(key).\(name)", "must be one value") }
            }
            return values
        case nil: return nil
        default:
            fault(key, "must be a map of names and values")
            return nil
        }
    }

    public mutating func number(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = text(key) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            fault(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    public mutating func yesOrNo(_ key: String) -> Bool? {
        guard let text = text(key) else { return nil }
        switch text.lowercased() {
        case "yes", "true", "on": return true
        case "no", "false", "off": return false
        default:
            fault(key, "must be yes or no")
            return nil
        }
    }

    /// The path of a file that can be read; its content is for whoever uses it.
    public mutating func readableFile(_ key: String) -> String? {
        guard let path = text(key) else { return nil }
        do throws(FileError) {
            _ = try AtomicFile.read(path, limit: 1 << 24)
            return path
        } catch {
            fault(key, "cannot be used: \(error)")
            return nil
        }
    }

    /// `user` and the secret in `password_file`, which go together.
    public mutating func userAndPassword() -> (user: String, password: Secret)? {
        switch (text("user"), text("password_file")) {
        case (nil, nil): return nil
        case (.some, nil):
            fault("password_file", "is missing: user needs one")
            return nil
        case (nil, .some):
            fault("user", "is missing: password_file needs one")
            return nil
        case (let user?, let file?):
            do throws(FileError) {
                return (user, try Secret(file: file))
            } catch {
                fault("password_file", "cannot be used: \(error)")
                return nil
            }
        }
    }
}
