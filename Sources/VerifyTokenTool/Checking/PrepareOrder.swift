// Everything that a deploy's preparation does: for `prepare` and for `run`.

import AgentAPI
import ArgumentParser
import DeployVerification
import Glibc
import Platform
import Transfer

struct PrepareOrder {
    var token: DeployToken
    var release: String?
    var preparation: DeployPreparation?
    var doors: [Door] = []
    var note: DeployNote
    var requests: [HTTPRequest] = []
    /// The token was said, and no other may take its place.
    let isTokenSaid: Bool
    /// Takes over from others.
    let isForced: Bool
    /// Whether the note must be kept for the deploy to be checked.
    var keepsNote: Bool
    let opensWindow: Bool

    /// - Parameters:
    ///   - keepsNote: also where nothing but a token would be needed.
    ///   - opensWindow: the agents that are asked alert nobody until `end`.
    init(
        _ options: ReleaseOptions, _ urls: URLOptions, _ login: LoginOptions, _ probe: ProbeOptions, _ agents: AgentOptions, keepsNote: Bool,
        opensWindow: Bool = false
    ) async throws {
        token = try options.token.map { try DeployToken(option: "--token", $0) } ?? DeployToken()
        isTokenSaid = options.token != nil
        isForced = options.force
        release = options.release.map(absolute)
        let credentials = try login.credentials()
        self.opensWindow = opensWindow
        note = DeployNote(id: DeployNote.newID(), token: token.text, service: options.service, began: SystemTime().now().wall)
        note.person = options.person ?? userName()
        note.revision = options.revision ?? release.flatMap(revisionFile)
        note.way = agents.way
        note.urls = try urls.withoutPasswords()
        note.hostHeader = urls.hostHeader
        note.tokenPath = options.tokenPath
        note.user = login.user
        note.passwordFile = login.passwordFile.map(absolute)
        note.probes = probe.probe
        note.release = release ?? options.remoteRelease
        requests = try urls.requests(urls.url, login: credentials, quiet: false)
        self.keepsNote = options.service != nil || !urls.url.isEmpty || keepsNote
        guard let service = options.service else { return }
        doors = try await note.way.doors()
        if let path = options.tokenPath { warnOfLogin(credentials, for: path, doors) }
        preparation = DeployPreparation(
            id: note.id, service: service, token: token.text, release: release ?? options.remoteRelease, isInPlace: options.inPlace,
            question: options.tokenPath.map { path in
                TokenQuestion(path: path, host: urls.hostHeader, user: credentials?.user, password: credentials?.password)
            },
            hosts: try urls.hosts(note.urls),
            availability: probe.probe ? AvailabilityOrder(path: options.probePath, rate: probe.probeRate.perSecond) : nil,
            takesOver: options.force, opensWindow: opensWindow, person: note.person, revision: note.revision)
    }

    /// First the agents, so that nothing is written when they refuse; then the token.
    /// - Returns: what `check` needs.
    func carryOut(with transfers: Transfers) async throws -> DeployNote {
        if let release, let problem = TokenFile.problem(release: release) {
            Output.error("verify-token: \(problem)")
            throw ExitCode(2)
        }
        let lock: ReleaseLock? = if let release { await ReleaseLock.taken(of: release) } else { nil }
        defer { lock?.end() }
        var order = self
        if let other = order.knownSharer { order.adopt(other.token, of: "deploy \(other.id) of \(other.service ?? other.urls.first ?? "it")") }
        return try await order.carryOutAlone(with: transfers)
    }

    private mutating func carryOutAlone(with transfers: Transfers) async throws -> DeployNote {
        if preparation != nil { note.hosts = try await ask(transfers) }
        do throws(FileError) {
            if let release, TokenFile.read(release: release) != token { try TokenFile.write(token, release: release) }
            if keepsNote {
                let folder = NoteFolder.ofThisUser
                folder.tidy(now: note.began)
                try folder.keep(note)
            }
        } catch {
            await end(transfers)
            Output.error("verify-token: \(error)")
            throw ExitCode(2)
        }
        try await refuseEarlyAnswers(note, transfers)
        return note
    }

    // MARK: Two deploys, one release

    /// A deploy under way that this machine has prepared from the same release. Where agents of this host are asked, they know better.
    private var knownSharer: DeployNote? {
        let isAskedHere = preparation != nil && release != nil && note.way.aggregator == nil
        guard !isAskedHere, !isTokenSaid, !isForced, let other = NoteFolder.ofThisUser.sharer(of: note, now: note.began) else { return nil }
        guard let release else { return other }
        return TokenFile.read(release: release)?.text == other.token ? other : nil
    }

    /// One token for both: each service's workers read the same file.
    private mutating func adopt(_ text: String, of other: String) {
        guard let shared = try? DeployToken(parsing: text) else { return }
        Output.error("note: the release carries the token of \(other), which is under way: this deploy has the same token")
        token = shared
        note.token = text
        preparation?.token = text
    }

    // MARK: Agents

    /// - Returns: the hosts that have a baseline now: all of them.
    private mutating func ask(_ transfers: Transfers) async throws -> [String] {
        var answers = await prepareAll(transfers)
        let inUse = answers.compactMap { answer -> String? in
            guard case .failure(let error) = answer.prepared, case .refused(status: 423) = error.kind else { return nil }
            return error.description
        }
        if let first = inUse.first, !isTokenSaid, let release, let there = TokenFile.read(release: release) {
            await end(transfers)
            adopt(there.text, of: deployNamed(in: first))
            answers = await prepareAll(transfers)
        }
        return try await hosts(of: answers, transfers)
    }

    /// `deploy d-1 of web by ann`, of an agent's refusal.
    private func deployNamed(in refusal: String) -> String {
        guard let start = refusal.firstRange(of: "the token of "), let end = refusal.firstRange(of: ", which is under way") else {
            return "another deploy"
        }
        guard start.upperBound < end.lowerBound else { return "another deploy" }
        return oneLine(String(refusal[start.upperBound..<end.lowerBound]))
    }

    private func prepareAll(_ transfers: Transfers) async -> [Preparation] {
        guard let preparation else { return [] }
        return await withTaskGroup(of: [Preparation].self) { group in
            for door in doors { group.addTask { await door.prepare(preparation, with: transfers) } }
            var all: [Preparation] = []
            for await some in group { all += some }
            return all
        }
    }

    private func hosts(of answers: [Preparation], _ transfers: Transfers) async throws -> [String] {
        guard let preparation else { return [] }
        var hosts: [String] = []
        var isRefused = answers.isEmpty
        if answers.isEmpty { Output.error("verify-token: no host has the service \(preparation.service)") }
        for answer in answers.sorted(by: { $0.host < $1.host }) {
            switch answer.prepared {
            case .success(let prepared):
                hosts.append(prepared.host)
                for warning in prepared.warnings.prefix(DeployLimits.texts) {
                    // The agent sees that the running workers stand where the new release should be.
                    let isInTheWay = !preparation.isInPlace && warning.contains("--in-place")
                    if isInTheWay { isRefused = true }
                    Output.error("\(isInTheWay ? "verify-token" : "warning"): \(answer.host): \(oneLine(warning))")
                }
            case .failure(let error):
                isRefused = true
                Output.error("verify-token: \(answer.host): \(error)")
            }
        }
        guard isRefused else { return hosts }
        // A deploy that is half prepared would block the next one.
        await end(transfers)
        throw ExitCode(Verdict.unreachable.exitCode)
    }

    /// The agents close the deploy's windows, and forget it unless there is a verdict.
    func end(_ transfers: Transfers) async {
        await withDiscardingTaskGroup { group in
            for door in doors {
                group.addTask {
                    do throws(DoorError) {
                        try await door.end(note.id, of: note.service ?? "", with: transfers)
                    } catch {
                        // Who refuses knows no such deploy, and has no window of it.
                        guard opensWindow, error.isWorthAnotherTry else { return }
                        Output.error("warning: \(door.name): the deploy window was not closed, and ends by itself: \(error)")
                    }
                }
            }
        }
    }

    /// Nothing was restarted yet: whoever answers the new token reads the file on every request.
    private func refuseEarlyAnswers(_ note: DeployNote, _ transfers: Transfers) async throws {
        for request in requests {
            guard let answer = try? await transfers.http(request),
                Evidence(status: answer.status, headers: answer.headers, body: answer.body, expecting: token) == .rightToken
            else { continue }
            Output.error("verify-token: \(request.shown) answers the new token before any restart: \(Verdict.dynamicToken.meaning)")
            await end(transfers)
            NoteFolder.ofThisUser.forget(note.id)
            throw ExitCode(Verdict.dynamicToken.exitCode)
        }
    }
}

/// Says whose login is used where the one that was given cannot be.
func warnOfLogin(_ login: Credentials?, for path: String, _ doors: [Door]) {
    guard login != nil, doors.contains(where: \.isAggregator) else { return }
    Output.error(
        "warning: passwords do not pass through the aggregator: for \(path) each agent uses `deploy_user` and `deploy_password_file` of its own check of the service"
    )
}

/// The first line of a release's REVISION, as Capistrano writes it; `nil` when there is none that can be shown.
private func revisionFile(_ release: String) -> String? {
    let file = open("\(release)/REVISION", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var status = stat()
    var bytes = [UInt8](repeating: 0, count: 256)
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else { return nil }
    let count = read(file, &bytes, bytes.count)
    guard count > 0 else { return nil }
    let line = oneLine(String(decoding: bytes[..<count].prefix { $0 != 10 }, as: UTF8.self)).filter { $0 != "\0" }
    return line.isEmpty || line.allSatisfy { $0 == " " } ? nil : line
}
