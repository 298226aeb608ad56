// Where prepared deploys are kept for a day.

import Glibc
import Platform

/// A folder of notes that is closed to others: `/var/lib/verify-token` of root, else `$XDG_STATE_HOME/verify-token`.
struct NoteFolder {
    let path: String

    static var ofThisUser: NoteFolder {
        if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") { return NoteFolder(path: "\(state)/verify-token") }
        guard geteuid() != 0 else { return NoteFolder(path: "/var/lib/verify-token") }
        return NoteFolder(path: "\(variable("HOME") ?? "/tmp")/.local/state/verify-token")
    }

    func keep(_ note: DeployNote) throws(FileError) {
        try make(path)
        try AtomicFile.write(note.json.bytes, to: file(note.id), mode: 0o600)
    }

    func note(_ id: String) -> DeployNote? {
        guard DeployNote.isID(id), let note = read(file(id)), note.id == id else { return nil }
        return note
    }

    /// The newest one with this token; of this service, when one is named.
    func note(token: String, service: String?, now: Timestamp) -> DeployNote? {
        all(now: now).filter { $0.token == token && (service == nil || $0.service == service) }.max { $0.began < $1.began }
    }

    /// A deploy that is under way, whose token is in this release, and which another one is not to spoil: of another service, or of other URLs.
    func sharer(of note: DeployNote, now: Timestamp) -> DeployNote? {
        guard let release = note.release else { return nil }
        return all(now: now).filter { other in
            other.release == release && !other.isOver && other.id != note.id && now - other.began < DeployNote.forgottenAfter
                && (other.service != note.service || (note.service == nil && Set(other.urls).isDisjoint(with: note.urls)))
        }.max { $0.began < $1.began }
    }

    /// Its verdict was given.
    func conclude(_ id: String?) {
        guard let id, var note = note(id) else { return }
        note.isOver = true
        // Where it may not be written, others wait for half an hour.
        try? keep(note)
    }

    func forget(_ id: String) { if DeployNote.isID(id) { unlink(file(id)) } }

    /// Takes away what is too old.
    func tidy(now: Timestamp) {
        for name in names() {
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0, now.seconds - Int64(status.st_mtim.tv_sec) > DeployNote.life.components.seconds else {
                continue
            }
            unlink("\(path)/\(name)")
        }
    }

    private func all(now: Timestamp) -> [DeployNote] {
        names().prefix(1000).compactMap { read("\(path)/\($0)") }.filter { now - $0.began < DeployNote.life }
    }

    private func file(_ id: String) -> String { "\(path)/\(id).json" }

    private func names() -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
            if name.hasPrefix("d-") { names.append(name) }
        }
        return names
    }

    /// Only what this user or root has written: a note says where passwords are sent.
    private func read(_ file: String) -> DeployNote? {
        var status = stat()
        guard lstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid() || status.st_uid == 0,
            status.st_mode & 0o022 == 0, let bytes = try? AtomicFile.read(file), let json = try? JSON(parsing: bytes)
        else { return nil }
        return DeployNote(json)
    }

    private func make(_ path: String) throws(FileError) {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError(path: path, problem: "is not a folder") }
            return
        }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try make(String(path[..<slash])) }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw FileError(path: path, problem: "cannot be made: \(String(cString: strerror(errno)))")
        }
    }
}
