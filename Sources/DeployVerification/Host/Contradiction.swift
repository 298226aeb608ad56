// What stands against a worker's answer: where it stands, and what it executes.

import AgentAPI

/// A worker answers the new token, and is not where the new code is: then the token has come to it in another way than with the code.
enum Contradiction: Equatable, Sendable {
    /// It executes a program of another release.
    case program(String)
    /// It stands in another release, which it entered after the deploy was prepared.
    case folder
    /// The link through which releases are entered leads to another one.
    case link(String)
}

extension HostVerifier {
    /// - Returns: `nil` where nothing stands against it. What a process has from its parent says nothing: a server that was started in an old
    ///   release stands there for ever, and its workers load the new one.
    func contradiction(_ process: ServiceProcess) -> Contradiction? {
        guard let release, !Self.standsAnywhere(process.command), process.folder != release.mark else { return programContradiction(process) }
        if let program = programContradiction(process) { return program }
        let runsNewProgram = programPaths(process).contains { $0.hasPrefix(release.path + "/") || $0.hasPrefix(release.realPath + "/") }
        if let link = release.linkElsewhere, !runsNewProgram, isCurrent(link) || link.target == process.folder { return .link(link.path) }
        guard otherRelease(of: process) != nil, !runsNewProgram, !isInherited(process) else { return nil }
        return .folder
    }

    private func programContradiction(_ process: ServiceProcess) -> Contradiction? {
        // Who was only forked has the command line of its parent, and may have loaded other code since.
        isOnlyForked(process) ? nil : programOfOtherRelease(process).map { .program($0) }
    }

    private func isCurrent(_ link: ReleaseLink) -> Bool { link.path.hasSuffix("/current") }

    /// The release that it stands in, when that is another one.
    private func otherRelease(of process: ServiceProcess) -> String? {
        guard let path = process.folderPath else { return nil }
        return release?.otherRelease(of: path, isKnown: isKnownRelease)
    }

    /// Whether a folder beside the release is a release, by what was seen before the deploy.
    private func isKnownRelease(_ folder: String) -> Bool {
        baseline?.processes.contains { known in
            known.role == .worker && known.folderPath.map { $0 == folder || $0.hasPrefix(folder + "/") } ?? false
        } ?? false
    }

    /// It stands where a process from before the deploy stands, from which it descends.
    private func isInherited(_ process: ServiceProcess) -> Bool {
        var (next, left) = (process, 32)
        while left > 0 {
            left -= 1
            if let before = baseline?.processes.first(where: { $0.mark.pid == next.mark.pid && $0.mark.startTicks == next.mark.startTicks }) {
                return before.folder == process.folder || ancestry(of: next) == .same
            }
            guard let parent = look?.processes.first(where: { $0.mark.pid == next.parent && !$0.isForeign }) else { return false }
            next = parent
        }
        return false
    }

    // MARK: Programs

    /// The program that it executes, where that lies in another release.
    func programOfOtherRelease(_ process: ServiceProcess) -> String? {
        guard let release else { return nil }
        return programPaths(process).first { release.otherRelease(of: $0, isKnown: isKnownRelease) != nil }
    }

    /// What it executes, where the names say so: its program, or the script that an interpreter runs.
    private func programPaths(_ process: ServiceProcess) -> [String] {
        guard let program = process.program else { return [] }
        var paths: [String] = []
        if let file = program.file, !Self.isInterpreter(file) { paths.append(file.hasSuffix(" (deleted)") ? String(file.dropLast(10)) : file) }
        var (isFirst, before) = (true, Substring())
        for argument in program.arguments.dropFirst() {
            defer { before = argument[...] }
            let value = argument.hasPrefix("--") ? argument.firstIndex(of: "=").map { argument[argument.index(after: $0)...] } : argument[...]
            let isValue = !argument.hasPrefix("-") || value != argument[...]
            guard isValue, let value, !Self.isConfiguration(argument.hasPrefix("-") ? argument[...] : before) else { continue }
            let isScript = isFirst && !argument.hasPrefix("-") && !before.hasPrefix("-")
            if !argument.hasPrefix("-") { isFirst = false }
            guard value.hasPrefix("/"), isScript || Self.isCode(value), !Self.isLauncher(value) else { continue }
            paths.append(String(value))
        }
        return paths
    }

    private static let interpreters: Set<String> = [
        "python", "pypy", "ruby", "jruby", "node", "nodejs", "bun", "deno", "php", "php-fpm", "php-cgi", "perl", "java", "dotnet", "beam.smp", "lua",
        "luajit", "sh", "bash", "dash", "uwsgi", "uwsgi-core",
    ]
    /// Of a server's own, which loads the application from elsewhere.
    private static let launchers: Set<String> = [
        "puma", "pumactl", "unicorn", "unicorn_rails", "rainbows", "thin", "rackup", "passenger", "falcon", "iodine", "bundle", "bundler", "gunicorn",
        "uvicorn", "hypercorn", "daphne", "waitress-serve", "celery", "uwsgi", "sidekiq", "pm2", "npm", "yarn", "npx",
    ]
    private static let code = [".py", ".rb", ".js", ".mjs", ".cjs", ".ts", ".php", ".pl", ".jar", ".war", ".ru", ".exs", ".lua", ".wsgi"]

    private static func isInterpreter(_ path: String) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        // python3.11, php-fpm8.2
        let plain = name.prefix { !$0.isNumber }
        return interpreters.contains(String(name)) || interpreters.contains(String(plain))
    }

    private static func isLauncher(_ path: Substring) -> Bool {
        let parts = path.split(separator: "/")
        return parts.dropLast().last == "bin" && parts.last.map { launchers.contains(String($0)) } ?? false
    }

    private static func isCode(_ path: Substring) -> Bool { code.contains { path.hasSuffix($0) } }

    private static func isConfiguration(_ option: Substring) -> Bool {
        let name = option.prefix { $0 != "=" }
        return ["-C", "-c", "--config", "--conf", "--ini", "-r", "--require"].contains(name)
    }
}
