// Judges a deploy on one host by its processes, as time goes on.

public import AgentAPI
public import Platform

/// Takes looks, answers and incidents, and says what follows. It does no I/O; all its times are since boot, from whoever looks.
///
/// It begins when a deploy is prepared and observes from then on; a check begins on a copy of it.
public struct HostVerifier: Sendable {
    /// What it wants next.
    public struct Step: Equatable, Sendable {
        /// Until the next look.
        public var wait: Duration
        /// Whom to ask now; empty for nobody.
        public var ask: [ProcessMark]
    }

    /// A worker and what it is to the deploy.
    struct Judged: Sendable {
        var process: ServiceProcess
        var `class`: HostDeploy.Class
        var why: Why?
    }

    /// Why a worker is what it is, where that is not plain.
    enum Why: Equatable, Sendable {
        case preload, wrongDirectory, tokenMissing
        /// A token of another deploy, though nothing else is wrong with the process.
        case otherToken
        case onlyForked, noExecEvidence, notReady, elsewhere, denied, serverError(Int), silent
        /// It answers with the token and something around it.
        case wrappedToken
        /// What it answers says nothing of its code: the question was not the right one.
        case questionRefused
        /// It answered another token before.
        case changedItsToken
        case unseenBefore
        /// Whether it stands in the new release is not known.
        case releaseUnseen
        /// Its program is that of another release.
        case otherProgram(String)
        /// It is not of the service.
        case stranger
        /// It answers the new token, and something else says that it runs other code.
        case contradiction(Contradiction)
        /// Without a baseline: it is older than its token, or whether it is cannot be seen.
        case olderThanToken, ageUnknown
        /// Requests come to it through a process that answers another token, or none.
        case frontDisagrees
    }

    enum Ancestry { case same, new, unclear }

    static let nothingFor = Duration.seconds(5)
    static let deniedFor = (count: 3, time: Duration.seconds(5))
    static let oldCodeFor = Duration.seconds(5)
    static let quietFor = Duration.seconds(2)
    /// So long a token that is answered too early may be that of a process behind the one that answers.
    static let frontsFor = Duration.seconds(5)
    /// As `quietFor`, when it is known that the new program has failed: who supervises it has mostly started it again a second later.
    static let failedFor = Duration.milliseconds(1500)
    /// The same where it was started beside the old one, which goes on: since its first death, and since its last.
    static let failedBesideFor = (first: Duration.milliseconds(1250), last: Duration.milliseconds(500))

    public let service: String
    public let host: String
    public let deploy: String?
    public let baseline: Baseline?
    /// Where the new release is, as far as is known.
    private(set) var release: ReleaseFolder?
    /// Why the release that was named could not be seen.
    private(set) var releaseProblem: String?
    /// Whether workers can be asked at all.
    public var asks = true
    /// Where they are asked, for a person.
    public var questionPath: String?
    /// What the one who joins knows to be missing, for a person.
    public var lacks: [String] = []
    let token: Secret?
    /// Where tokens are answered.
    private var tokenAddresses: Set<ServiceListener.Address>
    /// Without a baseline: whether those that were there at first are older than their token.
    private var ages: [ProcessMark: TokenAge] = [:]
    /// What came over the connections of those that drain.
    private(set) var keptAlive: [ProcessMark: KeptAlive] = [:]
    let tokenPrefix: String?
    let start: Moment

    /// Deploys of the service that were prepared after this one.
    var laterDeploys: [(id: String, token: Secret)] = []

    // What was seen
    private(set) var check: DeployCheck?
    private var began: Duration
    private(set) var look: ServiceLook?
    private(set) var roles: Roles?
    private(set) var judged: [Judged] = []
    private(set) var draining: [ServiceProcess] = []
    private(set) var churn = Churn()
    private(set) var heard: [ProcessMark: Heard] = [:]
    private(set) var busySince: [ProcessMark: Duration] = [:]
    private(set) var zombieSince: [ProcessMark: Duration] = [:]
    private(set) var incidents: [HostDeploy.Incident] = []
    private(set) var availability: Availability?
    /// Of the last round of questions: connections that nobody took, and that were refused.
    private(set) var lostConnections = (unaccepted: 0, refused: 0)
    private var memory = RoleMemory()
    private var execed: Set<Int32> = []
    private var firstSeen: Set<ProcessMark>?
    private var parents: Set<Int32> = []
    /// Something came since the last look that it must be read with.
    private var hasNews = true
    /// The programs that ran before the deploy.
    private(set) var generations: Set<ExecGeneration> = []
    private let before: [Int32: Baseline.Process]

    // Since when it is as it is
    private var rightSince: Duration?
    private var firstRight: Duration?
    private var settledAt: Duration?
    private var oldCodeSince: Duration?
    private var nothingSince: Duration?
    /// Since when all is right but that an address of before is not served.
    private var lostSince: Duration?
    private var lastChange: Duration
    private var lastIncident: Duration?
    private var lastRound: Duration?
    private(set) var setSince: Duration?
    private(set) var state = Verdict.unproven
    private(set) var stateSince: Timestamp
    /// Why the verdict came before its time.
    private(set) var ending: String?
    /// The verdict, once nothing that comes later changes it.
    public private(set) var verdict: Verdict?

    /// - Parameters:
    ///   - token: of the deploy; `nil` for a look without one.
    ///   - start: when it begins to observe.
    public init(
        service: String, host: String, deploy: String? = nil, token: String? = nil, baseline: Baseline? = nil, release: NamedRelease? = nil,
        start: Moment
    ) {
        self.service = service
        self.host = host
        self.deploy = deploy
        self.baseline = baseline
        self.release = release?.folder
        releaseProblem = release?.problem
        self.token = token.map { Secret($0) }
        tokenPrefix = token.map { String($0.prefix(8)) }
        self.start = start
        before = Dictionary(baseline?.processes.map { ($0.mark.pid, $0) } ?? [], uniquingKeysWith: { first, _ in first })
        generations = Set(baseline?.processes.map(\.mark.generation) ?? [])
        tokenAddresses = Set(baseline?.listeners.lazy.filter(\.hasToken).map(\.address) ?? [])
        began = start.uptime
        lastChange = start.uptime
        stateSince = start.wall
    }

    /// Takes note of the release as it is found now. One that was seen once is known by what it was.
    mutating func see(_ release: NamedRelease) {
        guard self.release == nil || release.folder != nil, self.release != release.folder else { return }
        self.release = release.folder
        releaseProblem = release.problem
        hasNews = true
        rejudge()
    }

    private mutating func rejudge() {
        guard let look, let roles else { return }
        judged = look.blindness == nil ? roles.workers.map(judge) : []
        keepTimes(look.at, isSetChanged: false)
    }

    /// The addresses at which the service was reached before: who serves there now is looked for wherever it is.
    var listenersBefore: [ServiceListener] { baseline?.listeners.map { ServiceListener(inode: 0, address: $0.address) } ?? [] }

    /// The release whose folder and links are to be looked at again: something stands against an answer that is right.
    var releaseWanted: String? {
        let isOpen = judged.contains { if case .contradiction = $0.why { true } else { false } }
        return isOpen ? release?.path : nil
    }

    /// Whose age is to be found out.
    var agesWanted: [ProcessMark] {
        guard baseline == nil, check != nil, token != nil else { return [] }
        return judged.map(\.process.mark).filter {
            firstSeen?.contains($0) == true && isRight(heard[$0]?.latest?.content) && ages[$0] ?? .unknown == .unknown
        }
    }

    mutating func learn(_ age: TokenAge, of mark: ProcessMark) {
        guard ages[mark] != age else { return }
        ages[mark] = age
        hasNews = true
        rejudge()
    }

    /// What the baseline has of a process, in whatever program it was then.
    private func inBaseline(_ mark: ProcessMark) -> Baseline.Process? {
        before[mark.pid].flatMap { $0.mark.startTicks == mark.startTicks ? $0 : nil }
    }

    /// From now on it is to come to a verdict. What was right before counts as well, for as long as it stays so.
    public mutating func begin(_ check: DeployCheck, at now: Moment) {
        self.check = check
        hasNews = true
        began = now.uptime
        lastChange = now.uptime
        lastRound = nil
        // Nobody has looked for this kind of evidence yet.
        if check.evidence != .http { rightSince = nil }
        (firstRight, settledAt, oldCodeSince, nothingSince) = (rightSince, nil, nil, nil)
        stateSince = now.wall
    }

    // MARK: What is seen

    public mutating func observe(_ look: ServiceLook, mainProcess: Int32?) {
        if firstSeen == nil {
            firstSeen = Set(look.processes.map(\.mark))
            if baseline == nil { generations = Set(look.processes.map(\.mark.generation)) }
        }
        if !hasNews, let last = self.look, last.processes == look.processes, last.listeners.map(\.inode) == look.listeners.map(\.inode) {
            // Most looks show what the one before has shown.
            self.look = look
            watchKept(look.at)
            keepTimes(look.at, isSetChanged: false)
            return
        }
        hasNews = heard.values.contains { $0.isWaiting(for: look.at) }
        var news = false
        for process in look.processes where heard[process.mark] != nil {
            let matches = heard[process.mark]?.confirm(by: look.at) { token?.isToken($0) ?? false } ?? false
            news = news || matches
            if heard[process.mark]?.latest != nil { memory.answered.insert(process.mark) }
        }
        memory.note(look)
        let roles = Roles(look, before: baseline, memory: memory)
        memory.keep(look, roles)
        let before = Set(judged.map(\.process.mark))
        let mastersBefore = Set(self.roles?.masters.map(\.mark) ?? [])
        self.look = look
        self.roles = roles
        let present = Set(look.processes.map(\.mark))
        heard = heard.filter { present.contains($0.key) }
        noteTimes(look)
        observeChurn(look, roles, mainProcess)
        judged = look.blindness == nil ? roles.workers.map(judge) : []
        draining = look.processes.filter { process in
            !process.isGone && roles.role(of: process.mark) == nil && process.listeners != nil
                && inBaseline(process.mark).map { $0.role == .worker && ancestry(of: process) == .same } ?? false
                && !roles.idle.contains { $0.mark == process.mark }
        }
        watchKept(look.at)
        let workers = Set(judged.map(\.process.mark))
        if workers != before || setSince == nil { setSince = look.at }
        let isChanged = workers != before || !Set(roles.masters.map(\.mark)).isSubset(of: mastersBefore)
        if isChanged || news { lastChange = look.at }
        keepTimes(look.at, isSetChanged: isChanged)
    }

    public mutating func observe(_ answer: WorkerAnswer) {
        guard heard.count < 4096 else { return }
        hasNews = true
        if let address = answer.address {
            if case .token = answer.content {
                if tokenAddresses.insert(address).inserted { forgetOtherAnswers() }
            } else if !tokenAddresses.contains(address),
                look?.listeners.contains(where: { tokenAddresses.contains($0.address) }) == true
            {
                // What else a process answers elsewhere, as to those who control it, says nothing of its code.
                switch answer.content {
                case .other, .accessDenied: memory.aside.insert(address)
                case .token, .lost, .silence: break
                }
                return
            }
        }
        memory.take(answer.mark)
        heard[answer.mark, default: Heard()].take(answer)
    }

    /// It is known now where tokens are answered.
    private mutating func forgetOtherAnswers() {
        for (mark, known) in heard {
            guard let latest = known.latest, let address = latest.address, !tokenAddresses.contains(address) else { continue }
            if case .token = latest.content { continue }
            heard[mark] = nil
            memory.answered.remove(mark)
        }
    }

    /// A round of questions has ended.
    public mutating func asked(unaccepted: Int, refused: Int, at now: Duration) {
        lastRound = now
        lostConnections = (unaccepted, refused)
    }

    public mutating func observe(_ incident: ProcessIncident) {
        hasNews = true
        if incident.what == .exec { execed.insert(incident.pid) } else { execed.remove(incident.pid) }
        let deaths = churn.deaths.count
        let served = memory.took
        churn.observe(incident, parents: parents) { pid in served.contains { $0.pid == pid } }
        if churn.deaths.count > deaths { rightSince = nil }
        lastIncident = incident.at
        lastChange = max(lastChange, incident.at)
        let words: (String, String?)
        switch incident.what {
        case .fork: words = ("fork", nil)
        case .exec: words = ("exec", nil)
        case .exit(let status): words = ("exit", status.map(endOfProcess))
        }
        let known = judged.first { $0.process.mark.pid == incident.pid }?.class
        incidents.append(
            HostDeploy.Incident(
                after: max(.zero, incident.at - (baseline?.at ?? start.uptime)), what: words.0, pid: incident.pid, class: known, how: words.1))
        if incidents.count > DeployLimits.incidents { incidents.removeFirst() }
    }

    public mutating func observe(_ availability: Availability?) {
        if let availability { self.availability = availability }
    }

    private mutating func noteTimes(_ look: ServiceLook) {
        var (busy, zombies): ([ProcessMark: Duration], [ProcessMark: Duration]) = ([:], [:])
        for process in look.processes {
            if process.connections ?? 0 > 0 { busy[process.mark] = busySince[process.mark] ?? look.at }
            if process.isGone { zombies[process.mark] = zombieSince[process.mark] ?? look.at }
        }
        (busySince, zombieSince) = (busy, zombies)
    }

    private mutating func observeChurn(_ look: ServiceLook, _ roles: Roles, _ mainProcess: Int32?) {
        let deaths = churn.deaths.count
        let matter = look.processes.filter {
            !$0.isGone && !$0.isForeign && isNew($0) && ($0.mark.pid == mainProcess || roles.role(of: $0.mark) != nil)
        }
        churn.observe(look, new: matter, known: generations)
        if churn.deaths.count > deaths { rightSince = nil }
        // Who is forked by these is a worker to be; what a worker forks is its own affair.
        parents = Set(roles.masters.filter { !$0.isForeign }.map(\.mark.pid))
        if let mainProcess, !memory.took.contains(where: { $0.pid == mainProcess }) { parents.insert(mainProcess) }
    }

    private mutating func watchKept(_ now: Duration) {
        var kept: [ProcessMark: KeptAlive] = [:]
        for process in draining {
            guard let connections = process.kept else { continue }
            var watch = keptAlive[process.mark] ?? KeptAlive(since: now)
            watch.observe(connections, at: now)
            kept[process.mark] = watch
        }
        keptAlive = kept
    }

    /// Old workers without a listener that answer new requests, over connections that clients have kept.
    func servingOld(at now: Duration) -> [ServiceProcess] { draining.filter { keptAlive[$0.mark]?.isServing(at: now) ?? false } }

    /// Where the service was reached before the deploy, and is not any more.
    var addressesLost: [ServiceListener.Address] {
        guard let baseline, let look, roles?.isWithoutListener == false else { return [] }
        let held = look.processes.reduce(into: Set<UInt64>()) { if !$1.isForeign { $0.formUnion($1.listeners ?? []) } }
        let own = look.listeners.filter { held.contains($0.inode) }
        return baseline.addressesNeeded.filter { address in !own.contains { $0.covers(address) } }
    }

    /// For counting the dead: without a baseline what came after the first look.
    private func isNew(_ process: ServiceProcess) -> Bool {
        baseline == nil ? !(firstSeen?.contains(process.mark) ?? true) : ancestry(of: process) == .new
    }

    // MARK: What a worker is

    func ancestry(of process: ServiceProcess) -> Ancestry {
        guard let baseline else { return .unclear }
        guard let before = inBaseline(process.mark) else {
            // It was there before, and the baseline did not see it: nobody knows what it has in memory.
            return process.started < baseline.at - .seconds(1) ? .unclear : .new
        }
        if execed.contains(process.mark.pid) { return .new }
        switch (before.mark.generation, process.mark.generation) {
        case (.vector, .vector), (.code, .code): return before.mark.generation == process.mark.generation ? .same : .new
        default: return .unclear
        }
    }

    private func judge(_ process: ServiceProcess) -> Judged {
        guard token != nil else { return Judged(process: process, class: .unknown, why: nil) }
        let (kind, why) =
            if process.isStranger { asStranger(process) } else if check?.evidence == .process { byItself(process) } else { byAnswer(process) }
        return Judged(process: process, class: kind, why: why)
    }

    private func isRight(_ content: WorkerAnswer.Content?) -> Bool {
        guard case .token(let text) = content else { return false }
        return token?.isToken(text) ?? false
    }

    /// The token is in the answer, and not alone.
    private func isWrapped(_ content: WorkerAnswer.Content?) -> Bool {
        guard case .other(let answer) = content else { return false }
        return answer.tokens.contains { token?.isToken($0) ?? false }
    }

    /// Not of the service, and it takes connections at its addresses.
    private func asStranger(_ process: ServiceProcess) -> (HostDeploy.Class, Why?) {
        let isOld = ancestry(of: process) == .same
        guard case .token(let text) = heard[process.mark]?.latest?.content else { return (.unknown, .stranger) }
        if token?.isToken(text) == true { return (isOld ? .dynamic : .new, nil) }
        return (isOld ? .old : .oldCode, .stranger)
    }

    private func byAnswer(_ process: ServiceProcess) -> (HostDeploy.Class, Why?) {
        let heard = heard[process.mark]
        let answer = heard?.latest?.content
        let isRight = isRight(answer)
        if let roles, roles.behindFront.contains(process.mark) {
            if case .token = answer {} else { return behindFront(process, roles.fronts) }
        }
        switch ancestry(of: process) {
        case .same: return isRight || isWrapped(answer) ? (.dynamic, nil) : (.old, nil)
        case .unclear where baseline != nil:
            let why = inBaseline(process.mark) == nil ? Why.unseenBefore : .noExecEvidence
            return isRight ? (.unknown, why) : (.old, why)
        case .unclear, .new: break
        }
        if isRight {
            if heard?.hasChangedItsToken == true { return (.dynamic, .changedItsToken) }
            if let contradiction = contradiction(process) { return (.unknown, .contradiction(contradiction)) }
            guard baseline == nil, firstSeen?.contains(process.mark) == true else { return (.new, nil) }
            switch ages[process.mark] ?? .unknown {
            case .younger: return (.new, nil)
            case .older, .otherToken: return (.unknown, .olderThanToken)
            case .unknown: return (.unknown, .ageUnknown)
            }
        }
        let other = baseline == nil && firstSeen?.contains(process.mark) == true ? HostDeploy.Class.old : .oldCode
        switch answer {
        case .token: return (other, causeOfOtherToken(process))
        case .other(let answer) where answer.status >= 500: return (.unknown, .serverError(answer.status))
        case .other where isWrapped(answer): return (.unknown, .wrappedToken)
        case .other(let answer) where answer.isAnswerOfApplication:
            return (other, isWrongDirectory(process) ? .wrongDirectory : .tokenMissing)
        case .other(let answer) where answer.isMissing && !Self.standsAnywhere(process.command) && isWrongDirectory(process):
            return (other, .wrongDirectory)
        case .other: return (.unknown, .questionRefused)
        case .accessDenied: return (.unknown, .denied)
        case .lost, .silence, nil: return (.unknown, heard.map { $0.silences > 0 } ?? false ? .silent : nil)
        }
    }

    private func causeOfOtherToken(_ process: ServiceProcess) -> Why {
        if isWrongDirectory(process) { return .wrongDirectory }
        if isOnlyForked(process) { return .preload }
        return programOfOtherRelease(process).map { .otherProgram($0) } ?? .otherToken
    }

    /// It cannot be asked itself. It is judged by what it is, and what it answers through those that pass requests on to it must agree.
    private func behindFront(_ process: ServiceProcess, _ fronts: [ServiceProcess]) -> (HostDeploy.Class, Why?) {
        let answers = fronts.compactMap { heard[$0.mark]?.latest?.content }
        let (kind, why) = byItself(process, isReady: !answers.isEmpty)
        guard kind == .new else { return (kind, why) }
        return answers.allSatisfy { isRight($0) } ? (.new, nil) : (.unknown, .frontDisagrees)
    }

    /// Without a token to ask for: what was exec'ed after the baseline and stands in the new release runs new code.
    /// - Parameter isReady: whether an answer shows that it serves; `nil`: its own answer must.
    private func byItself(_ process: ServiceProcess, isReady: Bool? = nil) -> (HostDeploy.Class, Why?) {
        switch ancestry(of: process) {
        case .same: return (.old, nil)
        case .unclear: return baseline == nil ? (.unknown, nil) : (.unknown, .noExecEvidence)
        case .new: break
        }
        // What it says itself counts for more than where it stands.
        if case .token(let text) = heard[process.mark]?.latest?.content, token?.isToken(text) != true {
            return (.oldCode, causeOfOtherToken(process))
        }
        if let path = programOfOtherRelease(process) { return (.oldCode, .otherProgram(path)) }
        if releaseProblem != nil, !Self.standsAnywhere(process.command) { return (.unknown, .releaseUnseen) }
        let saysFolder = saysFolder(process)
        if saysFolder, isWrongDirectory(process) { return (.oldCode, .wrongDirectory) }
        if process.mark.generation == .unknown { return (.unknown, .noExecEvidence) }
        if isOnlyForked(process), check?.hasNoPreload != true, !Self.readsAnew(process.command) { return (.unknown, .onlyForked) }
        if saysFolder, let release, process.folder != release.mark { return (.unknown, .elsewhere) }
        // Of what was not there before nobody knows whether it will listen once it has booted.
        if roles?.isWithoutListener == true, baseline?.processes.isEmpty == false { return (.new, nil) }
        if isReady ?? self.isReady(process) { return (.new, nil) }
        return (.unknown, .notReady)
    }

    /// Whether an answer, whatever it says, shows that it serves.
    private func isReady(_ process: ServiceProcess) -> Bool {
        switch heard[process.mark]?.latest?.content {
        case .token, .accessDenied: true
        case .other(let answer): answer.isServing
        case .lost, .silence, nil: false
        }
    }

    func isOnlyForked(_ process: ServiceProcess) -> Bool {
        process.mark.generation != .unknown && generations.contains(process.mark.generation)
    }

    /// Whether the folder of this service's processes means anything. A server of static things stands anywhere.
    private func saysFolder(_ process: ServiceProcess) -> Bool {
        guard release != nil, !Self.standsAnywhere(process.command) else { return false }
        let before = baseline?.processes.filter { $0.role == .worker && $0.folder != nil } ?? []
        guard !before.isEmpty else { return true }
        return before.contains { $0.isFolderDeleted || $0.folder == release?.mark || ($0.parentFolder != nil && $0.parentFolder == release?.parent) }
    }

    /// It stands where an earlier release is or was.
    func isWrongDirectory(_ process: ServiceProcess) -> Bool {
        if process.isFolderDeleted { return true }
        guard let release, let folder = process.folder, folder != release.mark else { return false }
        if let parent = process.parentFolder, parent == release.parent { return true }
        return baseline?.processes.contains { $0.folder == folder && $0.parentFolder != nil && $0.parentFolder == release.parent } ?? false
    }

    /// It reads its configuration again before it forks, and has no other code than its own.
    private static func readsAnew(_ command: String) -> Bool { command.hasPrefix("nginx") }

    static func standsAnywhere(_ command: String) -> Bool {
        ["nginx", "haproxy", "php-fpm"].contains { command.hasPrefix($0) }
    }

    // MARK: How things are

    /// The fewest that are enough. Servers that start and end workers as they are needed have other numbers at each moment.
    var expected: Int {
        if let expected = check?.expectedWorkers { return expected }
        guard let baseline, look?.processes.contains(where: Self.scales) != true else { return 1 }
        // Who was taken for a worker before the deploy and is known as a front since.
        return max(1, baseline.workers - max(0, (roles?.fronts.count ?? 0) - baseline.fronts))
    }

    private static func scales(_ process: ServiceProcess) -> Bool {
        if process.command.hasPrefix("php-fpm") || process.command == "apache2" || process.command == "httpd" { return true }
        return process.command.hasPrefix("uwsgi") && process.program?.arguments.contains { $0.contains("cheaper") } == true
    }

    func count(_ kind: HostDeploy.Class) -> Int { judged.count { $0.class == kind } }

    /// Every worker is new, and there are enough of them, and nobody hides.
    private var isRight: Bool { isNewOnly && judged.count >= expected && addressesLost.isEmpty && !isFrontBehind }

    /// Where a service listens at several addresses, one that answers may pass requests on, which takes some rounds to be seen.
    private var mayPassOn: Bool {
        let aside = memory.aside.union(baseline?.addressesAside ?? [])
        return Set(look?.listeners.lazy.map(\.address).filter { !aside.contains($0) } ?? []).count > 1
    }

    /// What comes through a process that passes requests on is another token still, as far as is known.
    private var isFrontBehind: Bool {
        roles?.fronts.contains { front in
            guard front.passesTo?.isEmpty == false, case .token(let text)? = heard[front.mark]?.latest?.content else { return false }
            return token?.matches(text.utf8) != true
        } ?? false
    }

    private var isNewOnly: Bool { !judged.isEmpty && judged.allSatisfy { $0.class == .new } && isAllSeen }

    private var isNothing: Bool { judged.isEmpty && isAllSeen }

    private var isAllSeen: Bool { roles?.unseen.isEmpty == true && look?.blindness == nil }

    /// Processes that came with the deploy and live: they may be about to serve.
    private var isBooting: Bool {
        look?.processes.contains { !$0.isGone && !$0.isForeign && isNew($0) } ?? false
    }

    private mutating func keepTimes(_ now: Duration, isSetChanged: Bool) {
        if isSetChanged || !isRight { rightSince = nil }
        if isRight {
            rightSince = rightSince ?? now
            firstRight = firstRight ?? now
        }
        let isOldCode = !judged.isEmpty && judged.allSatisfy { $0.class == .oldCode }
        if isSetChanged || !isOldCode { oldCodeSince = nil }
        if isOldCode { oldCodeSince = oldCodeSince ?? now }
        lostSince = isNewOnly && !addressesLost.isEmpty ? lostSince ?? now : nil
        nothingSince = isNothing && !isBooting && draining.isEmpty ? nothingSince ?? now : nil
    }

    /// What the verdict would be if the time were over.
    private func stateNow(at now: Duration) -> Verdict {
        guard look != nil else { return .unproven }
        if count(.dynamic) > 0 { return .dynamicToken }
        if !isRight, churn.loop(at: now) != nil { return .crashLoop }
        guard !judged.isEmpty else { return isAllSeen ? .down : .unproven }
        let (new, old, oldCode, unknown) = (count(.new), count(.old), count(.oldCode), count(.unknown))
        if new > 0, old + oldCode == 0, unknown > 0, judged.allSatisfy({ $0.class == .new || $0.why == .stranger }) { return .unproven }
        if new > 0, old + oldCode + unknown > 0 { return .mixed }
        if old > 0 { return .stale }
        if oldCode > 0 { return .newProcessOldCode }
        if unknown > 0 { return judged.allSatisfy { $0.why == .denied } ? .unreachable : .unproven }
        if !addressesLost.isEmpty { return .down }
        if isKeptFromProof(at: now) { return .mixed }
        return roles?.unseen.isEmpty == true ? .inProgress : .unproven
    }

    /// Users are answered by old code still.
    private func isKeptFromProof(at now: Duration) -> Bool { check?.draining != .ignore && !servingOld(at: now).isEmpty }

    // MARK: The verdict

    /// Looks at the clock, after each look and each round of questions.
    /// - Returns: the verdict, once it is final.
    @discardableResult
    public mutating func conclude(at now: Moment) -> Verdict? {
        guard verdict == nil else { return verdict }
        var state = stateNow(at: now.uptime)
        if let check {
            if isProven(check, at: now.uptime) {
                verdict =
                    check.limits.map { limits in availability.map { limits.breach(by: $0) != nil } ?? false } == true ? .limitsExceeded : .verified
            } else if state == .dynamicToken, !mayPassOn || now.uptime - began >= Self.frontsFor {
                verdict = state
            } else if check.failsFast, let early = earlyVerdict(state, at: now.uptime) {
                verdict = early
            } else if now.uptime >= end(of: check) {
                verdict = state
            }
            state = verdict ?? state
        }
        if state != self.state {
            self.state = state
            stateSince = now.wall
        }
        return verdict
    }

    /// After workers have died young, the others must outlive them to be believed.
    private func settle(_ check: DeployCheck) -> Duration { max(check.settle, churn.proof) }

    private mutating func isProven(_ check: DeployCheck, at now: Duration) -> Bool {
        // A check that has just begun takes a look of its own.
        guard let look, let rightSince, isRight, look.at >= began, look.at - rightSince >= settle(check) else { return false }
        if settledAt == nil { settledAt = look.at }
        if let settledAt, look.at - settledAt < check.watch { return false }
        if check.draining != .ignore, draining.contains(where: { keptAlive[$0.mark].map { !$0.isQuiet(at: now) } ?? false }) { return false }
        if case .wait(let time) = check.draining, !draining.isEmpty, let firstRight, look.at - firstRight < time { return false }
        return true
    }

    /// A watch that began in time is kept up to its end, and who is replaced in it has time to come up.
    private func end(of check: DeployCheck) -> Duration {
        let deadline = began + check.timeout
        guard let settledAt, check.watch > .zero else { return deadline }
        return max(deadline, settledAt + check.watch + settle(check) + .seconds(5))
    }

    private mutating func earlyVerdict(_ state: Verdict, at now: Duration) -> Verdict? {
        guard let look, look.at >= began else { return nil }
        switch state {
        case .crashLoop:
            guard let loop = churn.loop(at: now), now - loop.third >= Self.quietFor else { return nil }
            return state
        case .stale, .down:
            if let ending = endOfNewProgram(look, state, at: now) {
                self.ending = ending
                return state
            }
            guard state == .down else { return nil }
            if let lostSince { return now - max(lostSince, began) >= Self.nothingFor ? state : nil }
            guard let nothingSince, now - max(nothingSince, began) >= Self.nothingFor else { return nil }
            ending = "for 5 s nobody has accepted connections, and nobody is about to"
            return state
        case .newProcessOldCode:
            guard let oldCodeSince, now - max(oldCodeSince, began) >= Self.oldCodeFor, judged.count >= expected else { return nil }
            return state
        case .unreachable:
            let denied = judged.compactMap { heard[$0.process.mark] }
            guard let first = denied.compactMap(\.firstDenial).min(), denied.reduce(0, { $0 + $1.denials }) >= Self.deniedFor.count,
                now - max(first, began) >= Self.deniedFor.time
            else { return nil }
            return state
        default: return nil
        }
    }

    /// Why nothing will come of the new program any more; `nil`: something may.
    private func endOfNewProgram(_ look: ServiceLook, _ state: Verdict, at now: Duration) -> String? {
        guard !isBooting else { return nil }
        let quiet = now - (churn.lastBirth ?? .zero)
        if let failed = churn.failedStart, failed.status != 0, state == .stale || (isNothing && draining.isEmpty) {
            let first = min(failed.at, churn.deaths.first?.died ?? failed.at)
            let isOver =
                if failed.status == nil {
                    min(quiet, now - failed.at) >= Self.quietFor
                } else if state == .down {
                    min(quiet, now - failed.at) >= Self.failedFor
                } else {
                    min(quiet, now - first) >= Self.failedBesideFor.first && now - failed.at >= Self.failedBesideFor.last
                }
            let how = failed.status.map { " with \(endOfProcess($0))" } ?? ""
            if isOver { return "the new program (process \(failed.pid)) ended\(how) and nothing has been started since" }
        }
        // The workers could not boot, and took their master with them.
        let isEmpty = look.processes.allSatisfy { $0.isGone || $0.isForeign }
        guard state == .down, isEmpty, let last = churn.deaths.last, min(quiet, now - last.died) >= Self.failedFor else { return nil }
        return "the new processes ended soon after their start (the last was \(last.pid)), and nothing of the service is left"
    }

    /// Every worker has said what it carries.
    var isAnswered: Bool { judged.allSatisfy { heard[$0.process.mark]?.latest != nil } }

    /// Whether all workers are proven to be new, and have been for a while: for a look at a deploy without a check.
    var isProven: Bool {
        guard let look, let rightSince, isRight else { return false }
        return look.at - rightSince >= max(.seconds(1), churn.proof)
    }

    // MARK: What next

    public func next(at now: Duration) -> Step {
        if token == nil { return step(now, wait: .milliseconds(500), ask: .milliseconds(50)) }
        guard check != nil else {
            let isLively = lastIncident.map { now - $0 < .seconds(10) } ?? false
            // The sooner new workers have answered, the less is left to do for the check that comes.
            return step(now, wait: .milliseconds(isLively ? 100 : 500), ask: .milliseconds(isLively ? (isAnswerMissing ? 50 : 250) : 2000))
        }
        let quiet = now - lastChange
        var wait = Duration.milliseconds(quiet < .seconds(3) ? 50 : quiet < .seconds(15) ? 100 : 200)
        // Old workers are asked only because one that answers with the new token shows that the question proves nothing.
        var pause = Duration.milliseconds(quiet < .seconds(3) ? 250 : quiet < .seconds(15) ? 500 : 1000)
        if isAnswerMissing {
            pause = .milliseconds(quiet < .seconds(2) ? 20 : quiet < .seconds(5) ? 50 : quiet < .seconds(20) ? 100 : 250)
            wait = min(wait, pause)
        }
        if let check {
            if let rightSince {
                wait = .milliseconds(50)
                let left = rightSince + settle(check) - now
                if left > .zero { wait = min(wait, left) }
            }
            let left = end(of: check) - now
            if left > .zero { wait = min(wait, left) }
        }
        return step(now, wait: max(wait, .milliseconds(5)), ask: pause)
    }

    /// Somebody who might be new has not said so yet, or nobody is known to take requests.
    private var isAnswerMissing: Bool {
        guard asks else { return false }
        if isFrontBehind { return true }
        return judged.isEmpty ? look?.listeners.isEmpty == false : judged.contains { $0.class == .unknown && $0.why != .onlyForked }
    }

    private func step(_ now: Duration, wait: Duration, ask pause: Duration) -> Step {
        guard asks, let look, !look.listeners.isEmpty else { return Step(wait: wait, ask: []) }
        if let lastRound, now - lastRound < pause { return Step(wait: min(wait, max(.milliseconds(5), lastRound + pause - now)), ask: []) }
        let isWanted: Bool
        if token == nil {
            isWanted = !isAnswered
        } else if check?.evidence == .process {
            isWanted = isAnswerMissing
        } else {
            isWanted = judged.isEmpty || judged.contains { $0.class != .new } || isFrontBehind
        }
        guard isWanted else { return Step(wait: wait, ask: []) }
        let asked = judged.isEmpty ? look.processes.filter { !($0.listeners ?? []).isEmpty }.map(\.mark) : judged.map(\.process.mark)
        return Step(wait: wait, ask: asked)
    }
}
