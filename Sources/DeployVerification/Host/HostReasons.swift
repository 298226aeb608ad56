// Why a host's state is what it is, in sentences for a person.

import AgentAPI
import Platform

extension HostVerifier.Why {
    /// For programs.
    var word: String? {
        switch self {
        case .preload: "preload"
        case .wrongDirectory, .otherProgram: "wrong-directory"
        case .tokenMissing: "token-missing"
        default: nil
        }
    }
}

extension HostVerifier {
    /// The most important first.
    func reasons(for state: Verdict, at now: Duration) -> [String] {
        guard look != nil else { return token == nil ? [] : ["nothing has been seen yet"] }
        let blindness = (look?.blindness).map { [$0] } ?? []
        guard token != nil else { return judged.isEmpty && blindness.isEmpty ? [nobody] : blindness }
        var reasons = state == .verified ? [] : blindness
        if let ending { reasons.append(ending) }
        if state == .crashLoop { reasons.append(crashes(at: now)) }
        if state == .limitsExceeded, let availability, let breach = check?.limits?.breach(by: availability) { reasons.append(breach) }
        if judged.isEmpty, blindness.isEmpty { reasons.append(nobody) }
        for kind in [HostDeploy.Class.dynamic, .old, .oldCode, .unknown] { reasons += sentences(of: kind, at: now) }
        let new = count(.new)
        if new > 0, new < expected, judged.allSatisfy({ $0.class == .new }) {
            reasons.append(
                "\(new) of \(expected) workers \(new == 1 ? "is" : "are") there; if fewer than before are meant, say how many are expected")
        }
        if state == .inProgress, new >= expected {
            let deaths = churn.deaths.count
            reasons.append(
                deaths > 0
                    ? "all workers are new, but \(deaths) new \(deaths == 1 ? "process has" : "processes have") died young, and these have not outlived them yet"
                    : "all workers are new, and have not been so for long enough yet")
        }
        reasons += moved
        reasons += keptWords(at: now)
        if let unseen { reasons.append(unseen) }
        if state != .verified, let lost { reasons.append(lost) }
        for process in look?.processes ?? [] {
            guard let since = zombieSince[process.mark], now - since >= .seconds(5) else { continue }
            reasons.append("process \(process.mark.pid) has ended and process \(process.parent), its parent, takes no notice: it is a zombie")
        }
        reasons += warnings(state, at: now)
        return reasons
    }

    /// Who might accept connections, and nobody knows.
    private var unseen: String? {
        guard let unseen = roles?.unseen, !unseen.isEmpty else { return nil }
        return "the open files of \(list(unseen.map(\.mark.pid), "process")) may not be read: whether they accept connections is not known"
    }

    /// Where it was reached before and is not now.
    private var moved: [String] {
        guard !judged.isEmpty, let look else { return [] }
        let now = Set(look.listeners.map(\.address.text)).sorted().prefix(4).joined(separator: ", ")
        return addressesLost.prefix(4).map { address in
            "it does not listen at \(address.text) any more, where it did before the deploy\(now.isEmpty ? "" : "; it listens at \(now)"): "
                + "clients that still ask there get no answer. If that is meant, point them to the new address and prepare the next deploy there"
        }
    }

    /// Old workers that users still reach.
    private func keptWords(at now: Duration) -> [String] {
        guard check?.draining != .ignore else { return [] }
        return servingOld(at: now).prefix(8).map { process in
            let watch = keptAlive[process.mark]
            let clients = Set((watch?.serving ?? []).map { $0.clientProcess ?? $0.client }).sorted().prefix(3)
            let from = clients.isEmpty ? "" : " from \(clients.joined(separator: ", "))"
            let count = watch?.count ?? 0
            return
                "old worker \(process.mark.pid) takes no new connections and still answers new requests on \(count) kept \(count == 1 ? "connection" : "connections")\(from): "
                + "these users get old code. Let it close them when it is asked to end, or reload the proxy"
        }
    }

    private var lost: String? {
        let (unaccepted, refused) = lostConnections
        guard judged.allSatisfy({ $0.class == .unknown }), unaccepted + refused > 0 else { return nil }
        let parts = [unaccepted > 0 ? "\(unaccepted) taken by nobody" : nil, refused > 0 ? "\(refused) refused" : nil].compactMap { $0 }
        return "the last connections to the listener: \(parts.joined(separator: ", "))"
    }

    private var nobody: String {
        guard let masters = roles?.masters, !masters.isEmpty else { return "no process of the service holds a listener" }
        let queue = (look?.listeners ?? []).compactMap(\.queue).reduce(0) { $0 + min($1, 1 << 20) }
        let waiting = queue > 0 ? "; \(queue) \(queue == 1 ? "connection waits" : "connections wait")" : ""
        return "only \(list(masters.map(\.mark.pid), "process")) \(masters.count == 1 ? "holds" : "hold") the listener, and accepts nothing\(waiting)"
    }

    private func crashes(at now: Duration) -> String {
        let deaths = churn.deaths
        guard let last = deaths.last else { return "new processes die soon after their start" }
        let how = last.status.map { ", with \(endOfProcess($0))" } ?? ""
        return
            "\(deaths.count) new processes died within 5 s of their start, the last (\(last.pid)) \(words(now - last.died)) ago after \(words(last.lifetime))\(how)"
    }

    /// Draining, and what else does not stand against the verdict.
    private func warnings(_ state: Verdict, at now: Duration) -> [String] {
        var warnings: [String] = []
        if check?.draining != .ignore {
            let serving = Set(servingOld(at: now).map(\.mark))
            for process in draining.prefix(10) where !serving.contains(process.mark) {
                warnings.append("old worker \(process.mark.pid) accepts nothing any more and is not gone\(busyWords(process, at: now))")
            }
        }
        guard state == .verified || state == .limitsExceeded || state == .inProgress else { return warnings }
        let workers = Set(judged.map(\.process.mark.generation))
        for master in roles?.masters ?? []
        where !master.isForeign && ancestry(of: master) == .same && !workers.contains(master.mark.generation)
            && !judged.contains(where: { $0.process.parent == master.mark.pid })
        {
            warnings.append("process \(master.mark.pid), the master of the old workers, is still there: told to, it could start old workers again")
        }
        return warnings
    }

    /// Of some workers one sentence each, of many one for all.
    private func sentences(of kind: HostDeploy.Class, at now: Duration) -> [String] {
        let those = judged.filter { $0.class == kind }
        let shown = those.prefix(8).map { sentence($0, at: now) }
        return those.count > shown.count ? shown + ["and \(those.count - shown.count) more workers like these"] : Array(shown)
    }

    private func sentence(_ one: Judged, at now: Duration) -> String {
        let process = one.process
        let worker = "worker \(process.mark.pid)"
        if process.isStranger { return stranger(one) }
        if let later = laterDeploy(of: process) { return "\(worker) runs a later release: it answers the token of \(later)" }
        switch one.class {
        case .dynamic:
            return one.why == .changedItsToken
                ? "\(worker) answered another token before and now the new one, without a restart: it reads the file on every request"
                : "\(worker) has run since before the deploy and answers the new token: it reads the file on every request, or the token was used before"
        case .old:
            return baseline == nil
                ? "\(worker) answers \(answered(process))"
                : "\(worker) has run since before the deploy and still holds the listener\(busyWords(process, at: now))"
        case .oldCode: return "\(worker) is new and runs old code: \(cause(one))"
        default: return "\(worker) is not proven to be new: \(doubt(one, at: now))"
        }
    }

    /// `process 812 (gunicorn, in cron.service) takes connections at the service's address and is not of the service: ...`
    private func stranger(_ one: Judged) -> String {
        let process = one.process
        let addresses = (look?.listeners ?? []).filter { process.listeners?.contains($0.inode) == true }.map(\.address.text)
        let place = addresses.first.map { "at \($0)" } ?? "at the service's addresses"
        let who = "process \(process.mark.pid) (\(process.command)\(process.unit.map { ", in \($0)" } ?? ""))"
        let known = "\(who) takes connections \(place) and is not of the service"
        let remedy = "end it, or make it part of the service"
        switch one.class {
        case .new: return "\(known); it answers the new token"
        case .dynamic: return "\(known), and answers the new token though it has run since before the deploy: it reads the file on every request"
        case .old, .oldCode: return "\(known): it answers \(answered(process)). Users get that too; \(remedy)"
        default:
            let answer = heard[process.mark]?.latest == nil ? "" : " (it answers \(answered(process)); it is sent no password)"
            return "\(known): what it runs is not known\(answer), and users get that too; \(remedy)"
        }
    }

    /// The deploy that was prepared after this one and whose token a process answers.
    private func laterDeploy(of process: ServiceProcess) -> String? {
        guard case .token(let text) = heard[process.mark]?.latest?.content else { return nil }
        return laterDeploys.first { $0.token.isToken(text) }?.id
    }

    /// ` (1 request in flight, 7.4 s)`
    private func busyWords(_ process: ServiceProcess, at now: Duration) -> String {
        guard let connections = process.connections, connections > 0, let since = busySince[process.mark] else { return "" }
        return " (\(connections) \(connections == 1 ? "request" : "requests") in flight, \(words(now - since)))"
    }

    private func answered(_ process: ServiceProcess) -> String {
        switch heard[process.mark]?.latest?.content {
        case .token(let text): "another token (\(text.prefix(8))...)"
        case .other(let answer): answer.seen
        case .accessDenied(let status): "access denied (\(status))"
        case .lost, .silence, nil: "nothing"
        }
    }

    private func cause(_ one: Judged) -> String {
        switch one.why {
        case .wrongDirectory:
            let folder = one.process.folderPath.map { " (\($0))" } ?? ""
            let place = one.process.isFolderDeleted ? "a folder that was deleted" : "an earlier release"
            return "it stands in \(place)\(folder); \(directive(one.process.command))"
        case .preload:
            return
                "it was forked from process \(one.process.parent), which has loaded its code before the deploy and answers \(answered(one.process)): without preloading, or with a full restart, it would load the new one"
        case .otherProgram(let path): return "it executes \(path), which is of another release; start it through `current`"
        case .tokenMissing:
            return
                "it answers \(answered(one.process)): the token was not in the release when it booted, or the question's path leads elsewhere"
        default: return "it answers \(answered(one.process)), though it was started after the deploy was prepared"
        }
    }

    /// What makes a server load its code from where it once was.
    private func directive(_ command: String) -> String {
        let known = [
            ("puma", "`directory` in Puma's configuration"), ("unicorn", "`working_directory` in Unicorn's configuration"),
            ("gunicorn", "`chdir` in gunicorn's configuration"), ("uwsgi", "`chdir` in uWSGI's configuration"),
        ]
        // The names overlap: the longest that fits is meant.
        let name = command.lowercased()
        if let (_, missing) = known.filter({ name.contains($0.0) }).max(by: { $0.0.count < $1.0.count }) {
            return "\(missing) is missing or does not name `current`"
        }
        return "tell the server to stand in `current` (Puma: `directory`, Unicorn: `working_directory`, gunicorn and uWSGI: `chdir`)"
    }

    private func doubt(_ one: Judged, at now: Duration) -> String {
        let age = words(max(.zero, now - one.process.started))
        switch one.why {
        case .onlyForked:
            return "it was only forked after the deploy was prepared, so that its code may be older; say --no-preload if nothing is preloaded"
        case .noExecEvidence: return "which program it was started with may not be read, so that it may be older than the deploy"
        case .notReady: return "it has answered no request yet (it is \(age) old)"
        case .elsewhere: return "it stands neither in the new release nor in another\(one.process.folderPath.map { " (\($0))" } ?? "")"
        case .releaseUnseen: return "whether it runs the new release is not known: \(releaseProblem ?? "")"
        case .denied: return "it denies access (\(answered(one.process))): name or password of the question are wrong"
        case .serverError(let status): return "it answers with status \(status)"
        case .wrappedToken: return "its answer holds the token with something around it: make it answer the token alone, as plain text"
        case .questionRefused:
            guard case .other(let answer)? = heard[one.process.mark]?.latest?.content else { return "it does not answer the question" }
            let remedy = answer.remedy(path: questionPath).map { "; \($0)" } ?? ""
            return "it answers \(answer.seen)\(answer.way.map { " (asked: \($0.words))" } ?? "")\(remedy)"
        case .silent: return "it takes connections and does not answer (it is \(age) old)"
        case .contradiction(let contradiction): return against(contradiction, one.process)
        case .frontDisagrees: return "it stands in the new release, and through the process that passes requests on to it comes something else"
        case .olderThanToken:
            return
                "it answers the new token and is older than the token in its release: it may read the file on every request; run `verify-token prepare` before the restart, so that old processes are known"
        case .ageUnknown:
            return
                "it answers the new token, and without a baseline nothing shows that it was started after the token was written; run `verify-token prepare` before the restart, or restart it while it is checked"
        case .unseenBefore: return "it is older than the deploy, and the baseline does not have it"
        default:
            if !asks { return "there is no question that would show it" }
            return baseline == nil && check?.evidence == .process
                ? "without a baseline its age shows nothing" : "it has answered nothing yet (it is \(age) old)"
        }
    }
}

extension HostVerifier {
    /// Both sides of a contradiction, and what to do.
    private func against(_ contradiction: Contradiction, _ process: ServiceProcess) -> String {
        let token = "it answers the new token, and"
        let apart = "so the token did not come with the code"
        switch contradiction {
        case .program(let path): return "\(token) executes \(path), which is of another release: \(apart). Start it through `current`"
        case .folder:
            return
                "\(token) stands in another release\(process.folderPath.map { " (\($0))" } ?? ""): \(apart). Switch the link before the restart, and let the application read TOKEN from its own release"
        case .link(let path):
            return
                "\(token) \(path) leads to another release than \(release?.path ?? "the new one"): \(apart). Switch the link and restart, and let the application read TOKEN from its own release"
        }
    }
}

/// `0.4 s`, `12 s`.
func words(_ duration: Duration) -> String {
    let tenths = max(0, (duration.microseconds + 50_000) / 100_000)
    return tenths >= 100 || tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
}
