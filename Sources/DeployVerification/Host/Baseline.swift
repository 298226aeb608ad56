// How a service was before its deploy.

public import AgentAPI
import Platform

/// The processes of a service before its deploy: what is still the same afterwards is old. Clocks are not asked, they are too coarse.
public struct Baseline: Equatable, Sendable {
    /// What a worker answered to the token question.
    public enum Answer: Equatable, Sendable {
        /// The first digits of a token.
        case token(prefix: String)
        /// The very token of the deploy, which the worker cannot have read when it booted.
        case thisToken
        case other
        case accessDenied
    }

    public struct Process: Equatable, Sendable {
        public var mark: ProcessMark
        /// `nil`: it holds no listener.
        public var role: HostDeploy.Role?
        public var command: String
        public var folder: FolderMark?
        public var folderPath: String?
        public var isFolderDeleted: Bool
        public var parentFolder: FolderMark?
        public var answer: Answer?
        /// It holds a listener and takes nothing from it.
        public var isIdle = false
        /// It holds no listener: connections are handed over to it.
        public var isHanded = false
    }

    public struct Listener: Equatable, Sendable {
        public var address: ServiceListener.Address
        /// Its holders answered, and none of them with a token, while those of another listener did: a page of numbers, or the like.
        public var isAside: Bool
        /// A token was answered there.
        public var hasToken = false
    }

    /// Since boot, and of which boot.
    public var at: Duration
    public var boot: String
    public var processes: [Process]
    public var listeners: [Listener]
    public var lacks: [String]
    /// Why the workers did not answer a token, with what to do; `nil` where they did, or could not be asked.
    public private(set) var questionProblem: String?
    /// Whether a worker answered a token.
    public var isAsked: Bool { processes.contains { $0.answer?.isToken == true } }

    /// How many workers the service has. Who is left over from an earlier deploy, and only ends what it has begun, does not count.
    public var workers: Int
    /// How many processes were seen to pass requests on: these are not in that number.
    public var fronts = 0

    /// - Parameters:
    ///   - look: at the service before the deploy.
    ///   - answers: of its workers, to the first questions.
    public init(_ look: ServiceLook, answers all: [WorkerAnswer], token: String, boot: String) {
        let tokens = Set(all.compactMap { Answer($0.content, token: token)?.isToken == true ? $0.address : nil })
        // What else a process answers elsewhere, as to those who control it, says nothing of its code.
        let answers = all.filter { answer in answer.address.map { tokens.isEmpty || tokens.contains($0) } ?? true }
        var memory = RoleMemory()
        memory.aside = Self.aside(look, all, tokens)
        memory.note(look)
        for answer in answers { memory.take(answer.mark) }
        memory.answered = Set(answers.lazy.filter { Answer($0.content, token: token) != nil }.map(\.mark))
        let roles = Roles(look, before: nil, memory: memory)
        let idle = Set(roles.idle.map(\.mark))
        var heard: [ProcessMark: Answer] = [:]
        for answer in answers { heard[answer.mark] = Answer(answer.content, token: token) ?? heard[answer.mark] }
        processes = look.processes.map { process in
            Process(
                mark: process.mark, role: roles.role(of: process.mark), command: process.command, folder: process.folder,
                folderPath: process.folderPath, isFolderDeleted: process.isFolderDeleted, parentFolder: process.parentFolder,
                answer: heard[process.mark], isIdle: idle.contains(process.mark),
                isHanded: process.listeners?.isEmpty == true && roles.role(of: process.mark) == .worker && !roles.isWithoutListener)
        }
        workers = 0
        at = look.at
        self.boot = boot
        lacks = look.lacks
        listeners = Self.listeners(of: look, heard, aside: memory.aside, tokens: tokens)
        // Who only serves pages of numbers is no worker.
        let aside = Roles.inodes(aside: addressesAside, look)
        for (index, process) in look.processes.enumerated() where process.listeners.map({ !$0.isEmpty && $0.isSubset(of: aside) }) == true {
            processes[index].role = nil
        }
        workers = count(look, roles)
        fronts = roles.fronts.count
    }

    /// Takes note of why nothing was answered that is a token.
    mutating func noteQuestion(_ answers: [WorkerAnswer], _ question: TokenQuestion, _ searches: [ListenerSearch]) {
        guard !isAsked, processes.contains(where: { $0.role == .worker }) else { return }
        questionProblem = QuestionProblem(question, answers: answers.map(\.content), searches: searches)?.description
    }

    private func count(_ look: ServiceLook, _ roles: Roles) -> Int {
        let masters = roles.masters.filter { !$0.isForeign }
        let (pids, generations) = (Set(masters.map(\.mark.pid)), Set(masters.map(\.mark.generation)))
        let marks = Set(processes.filter { $0.role == .worker }.map(\.mark))
        let all = look.processes.filter { marks.contains($0.mark) }
        let led = all.filter { pids.contains($0.parent) || generations.contains($0.mark.generation) }
        return led.isEmpty ? all.count : led.count
    }

    /// Where something else than tokens was answered, while others of the service's listeners gave tokens. Who says nothing there that is HTTP may be
    /// a worker all the same, which speaks another language behind a front of the same program.
    private static func aside(
        _ look: ServiceLook, _ answers: [WorkerAnswer], _ tokens: Set<ServiceListener.Address>
    ) -> Set<ServiceListener.Address> {
        guard !tokens.isEmpty else { return [] }
        let generations = Set(answers.lazy.filter { $0.address.map { tokens.contains($0) } ?? false }.map(\.mark.generation))
        var aside: Set<ServiceListener.Address> = []
        for listener in look.listeners where !tokens.contains(listener.address) {
            let there = answers.filter { $0.address == listener.address }
            let speaksHTTP = there.contains { answer in
                switch answer.content {
                case .other, .accessDenied: true
                case .token, .lost, .silence: false
                }
            }
            let isRelated = there.contains { generations.contains($0.mark.generation) }
            if !there.isEmpty, speaksHTTP || !isRelated { aside.insert(listener.address) }
        }
        return aside
    }

    private static func listeners(
        of look: ServiceLook, _ heard: [ProcessMark: Answer], aside: Set<ServiceListener.Address>, tokens: Set<ServiceListener.Address>
    ) -> [Listener] {
        func answers(_ listener: ServiceListener) -> [Answer] {
            look.processes.filter { $0.listeners?.contains(listener.inode) == true }.compactMap { heard[$0.mark] }
        }
        let main = look.listeners.contains { answers($0).contains { $0.isToken } }
        var listeners: [Listener] = []
        for listener in look.listeners where !listeners.contains(where: { $0.address == listener.address }) {
            let answers = answers(listener)
            let isOther = main && !answers.isEmpty && answers.allSatisfy { $0 == .other }
            listeners.append(
                Listener(
                    address: listener.address, isAside: aside.contains(listener.address) || isOther, hasToken: tokens.contains(listener.address)))
        }
        return listeners
    }

    var addressesAside: Set<ServiceListener.Address> { Set(listeners.lazy.filter(\.isAside).map(\.address)) }

    /// Where the service must still be reached after the deploy: where tokens came from, or else everywhere. Ports that the kernel chooses anew at
    /// each start are needed only where there are no others.
    var addressesNeeded: [ServiceListener.Address] {
        let serving = listeners.filter { !$0.isAside }
        let withToken = serving.filter(\.hasToken)
        let all = (withToken.isEmpty ? serving : withToken).map(\.address)
        let firm = all.filter { !$0.isPassing }
        return firm.isEmpty ? all : firm
    }

    /// What may spoil the deploy, for a person.
    /// - Parameters:
    ///   - release: `nil` when none was named.
    ///   - asked: whether the workers were asked for a token.
    public func warnings(release: NamedRelease?, isInPlace: Bool, asked: Bool) -> [String] {
        var warnings: [String] = []
        let workers = processes.filter { $0.role == .worker }
        if listeners.isEmpty {
            warnings.append(
                processes.isEmpty ? "the service has no processes: nothing is there to be replaced" : "nobody of the service listens on any address")
        } else if workers.isEmpty {
            warnings.append("nobody accepts connections: the listener has no workers")
        }
        if let problem = release?.problem { warnings.append(problem) }
        let gone = workers.filter { $0.isFolderDeleted }
        if !gone.isEmpty {
            warnings.append(
                "\(list(gone.map(\.mark.pid), "worker")) \(gone.count == 1 ? "stands" : "stand") in a folder that was deleted: a reload may not find its way back; restart the service instead"
            )
        }
        if let release = release?.folder, !isInPlace {
            let there = workers.filter { $0.folder == release.mark }
            if !there.isEmpty {
                warnings.append(
                    "\(list(there.map(\.mark.pid), "worker")) already \(there.count == 1 ? "stands" : "stand") in \(release.path), which is to be new: say --in-place if it is"
                )
            }
        }
        if processes.contains(where: { $0.role != nil && $0.mark.generation == .unknown }) {
            warnings.append("there is no exec evidence: which program a process was started with may not be read")
        }
        let dynamic = workers.filter { $0.answer == .thisToken }
        if !dynamic.isEmpty {
            warnings.append(
                "\(list(dynamic.map(\.mark.pid), "worker")) already \(dynamic.count == 1 ? "answers" : "answer") the new token: it is read on every request, or was used before; either proves nothing"
            )
        }
        if workers.contains(where: { $0.answer == .accessDenied }) { warnings.append("the token question is denied: its name or password is wrong") }
        if let questionProblem {
            warnings.append("the workers could not be asked for their token: \(questionProblem)")
            return warnings + lacks
        }
        if asked, !workers.isEmpty, workers.allSatisfy({ $0.answer == nil }) { warnings.append("no worker answered the token question") }
        if asked, !workers.isEmpty, workers.contains(where: { $0.answer == .other }), !workers.contains(where: { $0.answer?.isToken == true }) {
            warnings.append("no worker answers a token so far: it will only be seen after the deploy whether the path is right")
        }
        return warnings + lacks
    }
}

extension Baseline.Answer {
    var isToken: Bool {
        switch self {
        case .token, .thisToken: true
        case .other, .accessDenied: false
        }
    }

    init?(_ content: WorkerAnswer.Content, token: String) {
        switch content {
        case .token(let text): self = Secret(text) == Secret(token) ? .thisToken : .token(prefix: String(text.prefix(8)))
        case .other: self = .other
        case .accessDenied: self = .accessDenied
        case .lost, .silence: return nil
        }
    }
}

/// `worker 7`, `workers 7, 8 and 12 others`
func list(_ pids: [Int32], _ what: String) -> String {
    if pids.count == 1, let only = pids.first { return "\(what) \(only)" }
    let what = what.hasSuffix("s") ? what + "e" : what
    let shown = pids.sorted().prefix(6).map { "\($0)" }
    if pids.count > shown.count { return "\(what)s \(shown.joined(separator: ", ")) and \(pids.count - shown.count) others" }
    return "\(what)s \(shown.dropLast().joined(separator: ", ")) and \(shown.last ?? "")"
}
