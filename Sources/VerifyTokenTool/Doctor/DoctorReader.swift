// What doctor reads on this host: units and configuration files, never more than so much of each.

import DeployVerification
import Glibc
import Platform

struct DoctorReader {
    /// As systemd looks for units, the one that counts most first.
    private static let unitFolders = [
        "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/etc/systemd/system", "/run/systemd/system",
        "/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
    ]
    /// A file may bring in another, which brings in another.
    private static let mostRounds = 8

    /// Where the host's files begin.
    var root = ""

    func facts(of service: DoctorService) -> DoctorFacts {
        var facts = DoctorFacts(service, unit: unit(of: service))
        for _ in 0..<Self.mostRounds {
            let (paths, patterns) = (facts.wantedFiles.filter { facts.files[$0] == nil }, facts.wantedPatterns.filter { facts.matches[$0] == nil })
            guard !paths.isEmpty || !patterns.isEmpty else { break }
            for path in paths { facts.files[path] = read(path) }
            for pattern in patterns { facts.matches[pattern] = matches(pattern) }
        }
        for path in facts.wantedPaths { facts.realPaths[path] = realPath(path) }
        if let folder = facts.releaseFolder { facts.token = tokenFile(in: folder) }
        if facts.kind == .uwsgi, let program = service.processes.lazy.compactMap(\.program).first {
            facts.programVersion = (try? AtomicFile.read(program, limit: 16 << 20)).flatMap { ProgramVersion.find("2.0.", in: $0) }
        }
        return facts
    }

    // MARK: Units

    private func unit(of service: DoctorService) -> UnitFile? {
        let name = service.unit ?? service.name
        guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else { return nil }
        var unit = UnitFile()
        if service.initSystem == "upstart" {
            guard case .text(let text) = read("/etc/init/\(name).conf") else { return nil }
            unit.readUpstart(text, file: "/etc/init/\(name).conf")
            return unit
        }
        let full = name.hasSuffix(".service") ? name : name + ".service"
        // web@3.service is made from web@.service.
        let names = [full] + (full.firstIndex(of: "@").map { ["\(full[...$0]).service"] } ?? [])
        var isFound = false
        search: for name in names {
            for folder in Self.unitFolders {
                guard case .text(let text) = read("\(folder)/\(name)") else { continue }
                unit.read(text, file: "\(folder)/\(name)")
                isFound = true
                break search
            }
        }
        guard isFound else { return nil }
        for (name, path) in dropIns(of: ["service"] + prefixes(of: full) + names.reversed()).sorted(by: { $0.key < $1.key }).prefix(
            DoctorLimits.files)
        {
            guard name.hasSuffix(".conf"), case .text(let text) = read(path) else { continue }
            unit.read(text, file: path)
        }
        return unit
    }

    /// Drop-ins are also for all units whose names begin alike: those of `web-shop-1.service` in `web-.service.d` and `web-shop-.service.d`.
    private func prefixes(of name: String) -> [String] {
        name.indices.filter { name[$0] == "-" && $0 != name.startIndex }.prefix(20).map { "\(name[...$0]).service" }
    }

    /// By their names, of which the folder that counts most has its way.
    private func dropIns(of names: [String]) -> [String: String] {
        var paths: [String: String] = [:]
        for folder in Self.unitFolders.reversed() {
            for name in names {
                for entry in entries("\(folder)/\(name).d") { paths[entry] = "\(folder)/\(name).d/\(entry)" }
            }
        }
        return paths
    }

    private func entries(_ folder: String) -> [String] {
        guard let stream = opendir(root + folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < DoctorLimits.files, let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    // MARK: Files

    /// Only plain files are read: what an application's user has put there instead cannot hold it up.
    private func read(_ path: String) -> DoctorFacts.File {
        var status = stat()
        let path = root + path
        guard stat(path, &status) == 0 else {
            return errno == ENOENT || errno == ENOTDIR ? .missing : .unreadable(String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { return .unreadable("it is not a plain file") }
        do throws(FileError) {
            return .text(String(decoding: try AtomicFile.read(path, limit: DoctorLimits.file), as: UTF8.self))
        } catch {
            return .unreadable(error.problem)
        }
    }

    private func realPath(_ path: String) -> String? {
        guard let real = realpath(root + path, nil) else { return nil }
        defer { free(real) }
        return String(String(cString: real).dropFirst(root.count))
    }

    /// In the order in which nginx reads them: by their names.
    private func matches(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(root + pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
        return (0..<min(Int(found.gl_pathc), DoctorLimits.files)).compactMap { index in
            paths[index].map { String(String(cString: $0).dropFirst(root.count)) }
        }
    }

    private func tokenFile(in folder: String) -> DoctorFacts.TokenFile {
        let path = "\(root)\(folder)/\(TokenFile.name)"
        var status = stat()
        guard lstat(path, &status) == 0 else { return errno == ENOENT ? .missing : .unreadable(String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= 4096 else { return .unreadable("it is not a small plain file") }
        do throws(FileError) {
            var text = String(decoding: try AtomicFile.read(path, limit: 4096), as: UTF8.self)
            if text.hasSuffix("\n") { text.removeLast() }
            guard let token = try? DeployToken(parsing: text) else { return .unreadable("it holds no token") }
            let written = Timestamp(microseconds: Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1000)
            return .found(prefix: token.prefix, age: max(.zero, SystemTime().now().wall - written))
        } catch {
            return .unreadable(error.problem)
        }
    }
}
