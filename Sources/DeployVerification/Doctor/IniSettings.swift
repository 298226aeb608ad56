// What uwsgi.ini and Supervisor's files say.

/// `name = value` below `[section]`. A name stands as often as it is said; placeholders such as `%(here)` are unclear.
public enum IniSettings {
    public static func parse(_ text: String, section wanted: String) -> [Setting] {
        var settings: [Setting] = []
        var isInside = false
        for (number, whole) in numberedLines(text) {
            let line = whole.trimmed
            guard let first = line.first, first != "#", first != ";" else { continue }
            if first == "[" {
                isInside = line.dropFirst().prefix { $0 != "]" } == wanted
                continue
            }
            guard isInside, settings.count < DoctorLimits.settings else { continue }
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            // Directives of uWSGI's own logic, `if-env = NAME` and its like, make what follows depend on something; they stand as they are.
            let name = String(parts[0].trimmed)
            guard !name.isEmpty else { continue }
            guard parts.count == 2 else {
                settings.append(Setting(name, .absent, line: number))
                continue
            }
            let value = String(parts[1].trimmed)
            let isOpen = value.contains("%(") || value.contains("$(") || value.contains("@(")
            settings.append(Setting(name, isOpen ? .unclear(shown(value)) : .text(value), line: number))
        }
        return settings
    }
}
