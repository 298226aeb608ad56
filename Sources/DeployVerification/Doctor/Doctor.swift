// What would make a restart silently keep old code, told before any deploy.

/// Judges facts; it looks at nothing itself.
public enum Doctor {
    public static func findings(_ facts: DoctorFacts) -> [DoctorFinding] {
        var findings = release(facts)
        if let kind = facts.kind {
            let sight = Sight(facts)
            findings +=
                unread(sight) + unfollowed(sight, kind) + reload(sight, kind) + preload(sight, kind) + folder(sight, kind) + nginx(sight, kind)
        }
        findings += unit(facts) + token(facts)
        return findings.enumerated().sorted { ($0.element.severity, $0.offset) < ($1.element.severity, $1.offset) }.map(\.element)
    }

    // MARK: Processes

    private static func release(_ facts: DoctorFacts) -> [DoctorFinding] {
        let service = facts.service
        if let blindness = service.blindness {
            return [
                DoctorFinding(
                    .fault, .unseen, "who takes its requests cannot be seen: no deploy can be proven by its processes",
                    at: service.processes.prefix(5).map { "process \($0.pid)" }, why: shown(blindness),
                    mend: "an agent where the service runs; or verify-token check --url URL, without --service")
            ]
        }
        guard !service.processes.isEmpty else {
            return [
                DoctorFinding(
                    .caution, .down, "\(shown(service.name)) has no process", why: "Much of how it restarts can only be seen while it runs.",
                    mend: "start it, then ask doctor again")
            ]
        }
        var findings: [DoctorFinding] = []
        let gone = service.processes.filter(\.isFolderDeleted)
        if let first = gone.first {
            findings.append(
                DoctorFinding(
                    .fault, .releaseGone, "the release that it stands in has been removed: \(shown(first.folder ?? "its folder"))",
                    at: gone.prefix(5).map { "process \($0.pid)" },
                    why: "A reload goes back to this folder: the new program does not start there, and the old one stays or the service is down.",
                    mend: "systemctl restart \(shown(service.unit ?? service.name)); and keep at least two old releases"))
        }
        if service.processes.allSatisfy({ $0.folder == nil && !$0.isFolderDeleted }) {
            findings.append(
                DoctorFinding(
                    .caution, .noPermission, "the agent may not see where the processes stand",
                    at: service.processes.prefix(3).map { "process \($0.pid)" },
                    why: "Without it nobody can tell a worker in the old release from one in the new.",
                    mend: "AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH in the unit of rollcall-agent, as the one that comes with it has"))
        }
        if service.listeners.isEmpty, facts.kind != .sidekiq {
            findings.append(
                DoctorFinding(
                    .caution, .noListener, "none of its processes listens",
                    why: "Workers are recognised by the listening socket that they hold. Behind another unit's socket the agent must see that one.",
                    mend: "name the service whose processes listen"))
        }
        return findings
    }

    // MARK: Files

    private static func unread(_ sight: Sight) -> [DoctorFinding] {
        sight.files.compactMap { file in
            let path = file.path
            switch (sight.facts.files[path], file.way) {
            case (.unreadable(let problem)?, _):
                return DoctorFinding(
                    .unknown, .notRead, "\(shown(path)) cannot be read: \(shown(problem))", at: [shown(path)],
                    why: "What it says of the restart is not known.", mend: "run doctor as a user who may read it")
            case (.missing?, .named(let place)):
                return DoctorFinding(
                    .caution, .notRead, "\(shown(path)) is named and is not there", at: [shown(place)],
                    why: "The next start fails, or starts without it.", mend: "put the file there, or mend the line that names it")
            case (.missing?, .module(let module, let place)):
                return DoctorFinding(
                    .unknown, .notRead, "the module \(shown(module)) was not found at \(shown(path))", at: [shown(place)],
                    why: "Python may find it elsewhere; what it says of the restart is not known.",
                    mend: "name the file itself: gunicorn -c /PATH/\(shown(module.split(separator: ".").last ?? "")).py")
            default: return nil
            }
        }
    }

    /// What brings in more than doctor could read.
    private static func unfollowed(_ sight: Sight, _ kind: ServerKind) -> [DoctorFinding] {
        let lost = sight.settings.filter { setting, _ in
            kind.evaluations.contains(setting.name) || (kind.inclusions.contains(setting.name) && setting.text == nil)
        }
        guard sight.facts.isCommandLineHidden else { return lost.prefix(5).map(notUnderstood) }
        let main = sight.facts.service.main
        return lost.prefix(5).map(notUnderstood) + [
            DoctorFinding(
                .unknown, .notRead, "\(kind.name) has written its title over its command line, and no unit was found that starts it",
                at: main.map { ["process \($0.pid)"] } ?? [],
                why: "Whether it was started with a configuration of its own, or with options such as --preload, is not known.",
                mend: "look yourself with which options it is started")
        ]
    }

    /// Facts with what follows from them, worked out once.
    private struct Sight {
        var facts: DoctorFacts
        var files: [DoctorFacts.ConfigurationFile]
        var settings: [(setting: Setting, place: String)]
        var steps: [(step: ReloadStep, place: String)]

        init(_ facts: DoctorFacts) {
            self.facts = facts
            let configuration = facts.readConfiguration
            files = configuration.files
            settings = facts.settings(of: configuration.settings)
            steps = Doctor.steps(facts)
        }
    }

    private static func setting(_ name: String, _ sight: Sight) -> (setting: Setting, place: String)? {
        sight.settings.last { $0.setting.name == name }
    }

    private static func notUnderstood(_ found: (setting: Setting, place: String)) -> DoctorFinding {
        let value: String
        switch found.setting.value {
        case .unclear(let text): value = " \(text)"
        case .text(let text): value = " \(shown(text))"
        case .flag, .absent: value = ""
        }
        return DoctorFinding(
            .unknown, .notUnderstood, "`\(shown(found.setting.name))\(value)` depends on something that only the server knows when it starts",
            at: [shown(found.place)], why: "Doctor reads configurations and executes nothing of them.",
            mend: "write the value itself, or look yourself")
    }

    // MARK: Reload

    private static func steps(_ facts: DoctorFacts) -> [(step: ReloadStep, place: String)] {
        guard let unit = facts.unit else { return [] }
        var steps = unit.all("ExecReload").flatMap { entry in
            ReloadStep.steps(of: entry.value).map { (step: $0, place: "\(entry.file):\(entry.line)") }
        }
        if let type = unit.last("Type"), type.value == "notify-reload" {
            let signal = unit.last("ReloadSignal")
            let word = signal?.value ?? "HUP"
            let entry = signal ?? type
            steps.append((.signal(word.hasPrefix("SIG") ? String(word.dropFirst(3)) : word), "\(entry.file):\(entry.line)"))
        }
        return steps
    }

    private static func effects(_ sight: Sight, _ kind: ServerKind) -> [(effect: ServerKind.Effect, place: String)] {
        sight.steps.compactMap { step, place in
            switch step {
            case .signal(let name): kind.effect(of: name).map { ($0, place) }
            case .fifo(let word) where kind == .uwsgi:
                switch word {
                case "c", "w": (.chain, place)
                case "r", "R": (.executes, place)
                default: nil
                }
            case .nothing(let why): (.nothing(why), place)
            case .fifo, .other, .unknown: nil
            }
        }
    }

    private static func reload(_ sight: Sight, _ kind: ServerKind) -> [DoctorFinding] {
        guard let unit = sight.facts.unit, !unit.entries.isEmpty else { return [] }
        let steps = sight.steps
        let unitPlace = unit.last("ExecStart").map { "\($0.file):\($0.line)" } ?? unit.entries.last?.file ?? ""
        guard !steps.isEmpty else {
            // Sidekiq has no reload at all: a restart is the way.
            guard kind != .sidekiq else { return [] }
            return [
                DoctorFinding(
                    .caution, .noReload, "the unit has no ExecReload", at: [shown(unitPlace)],
                    why: "`systemctl reload` fails, and a restart turns requests away while the server boots.",
                    mend: reloadLine(kind) + ", in the unit's [Service]")
            ]
        }
        var findings: [DoctorFinding] = []
        for (step, place) in steps {
            guard case .unknown(let text) = step else { continue }
            findings.append(
                DoctorFinding(
                    .unknown, .notUnderstood, "what `\(text)` does at a reload is not known", at: [shown(place)],
                    why: "Doctor knows signals and the servers' own tools.", mend: "look yourself whether the server boots new code"))
        }
        let effects = effects(sight, kind)
        let isAllKnown = findings.isEmpty && effects.count == steps.count { $0.step != .other }
        let idle = effects.compactMap { effect, place in if case .nothing(let why) = effect { (why, place) } else { nil } }
        if let first = idle.first, isAllKnown, idle.count == effects.count {
            findings.append(
                DoctorFinding(
                    .fault, .reloadDoesNothing, "a reload starts no new code", at: idle.map { shown($0.1) },
                    why: first.0 + ". The reload succeeds all the same.", mend: reloadLine(kind)))
        } else if let ending = effects.first(where: { $0.effect == .ends }), !effects.contains(where: { $0.effect == .executes }) {
            findings.append(
                DoctorFinding(
                    .caution, .reloadEnds, "a reload ends the server", at: [shown(ending.place)],
                    why: "Until the init system has started it again nobody answers.", mend: reloadLine(kind)))
        }
        if kind == .uwsgi, sight.facts.programVersion == "2.0.27", let signal = effects.first(where: { $0.effect == .executes }) {
            findings.append(
                DoctorFinding(
                    .fault, .uwsgiIgnoresReload, "uWSGI 2.0.27 does not act on HUP", at: [shown(signal.place)],
                    why: "The signal is lost in this version, and the old code goes on.",
                    mend: "install another version, or restart instead of reload"))
        }
        if kind == .unicorn || kind == .gunicorn, let new = effects.first(where: { $0.effect == .executes }), unit.last("PIDFile") == nil {
            findings.append(
                DoctorFinding(
                    .caution, .mainProcessLost, "after USR2 the new main process is another one, and the unit has no PIDFile", at: [shown(new.place)],
                    why: "systemd takes the end of the old main process for the end of the service, and kills what is left of it.",
                    mend: "PIDFile=/run/\(shown(sight.facts.service.name))/pid with Type=forking, or HUP without preloading"))
        }
        return findings
    }

    private static func reloadLine(_ kind: ServerKind) -> String {
        switch kind {
        case .puma: "ExecReload=/bin/kill -USR1 $MAINPID"
        case .unicorn, .gunicorn, .uwsgi, .nginx: "ExecReload=/bin/kill -HUP $MAINPID"
        case .sidekiq: "no ExecReload: deploy with systemctl restart, and KillMode=mixed, TimeoutStopSec=30 in [Service]"
        }
    }

    // MARK: Preload

    private static func preload(_ sight: Sight, _ kind: ServerKind) -> [DoctorFinding] {
        switch kind {
        case .puma: puma(sight)
        case .unicorn: forking(sight, kind, setting("preload_app", sight), off: "preload_app false")
        case .gunicorn: forking(sight, kind, setting("preload_app", sight), off: "preload_app = False")
        case .uwsgi: chain(sight)
        case .nginx, .sidekiq: []
        }
    }

    private static func puma(_ sight: Sight) -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        if let found = setting("preload_app!", sight) {
            let phased = effects(sight, .puma).first { $0.effect == .phased }
            if found.setting.isOn == nil {
                findings.append(notUnderstood(found))
            } else if found.setting.isOn == true, let phased {
                findings.append(
                    DoctorFinding(
                        .caution, .phasedPreload, "a phased restart is asked for, and preload_app! forbids it",
                        at: [shown(found.place), shown(phased.place)],
                        why: "Puma then restarts as a whole, which only its log says: all requests wait until the application has booted.",
                        mend: "preload_app! false, or kill -USR2 when the wait is accepted"))
            }
        }
        if let found = setting("fork_worker", sight) {
            if found.setting.isConditional {
                findings.append(notUnderstood(found))
            } else if found.setting.isOn != false {
                findings.append(
                    DoctorFinding(
                        .caution, .forkWorker, "workers are forked from worker 0", at: [shown(found.place)],
                        why:
                            "A phased restart then takes 5 to 10 s, hangs under a first process that does not reap, and has kept old code in versions of Puma 5.",
                        mend: "without fork_worker; or verify-token check --timeout 120s"))
            }
        }
        return findings
    }

    private static func forking(_ sight: Sight, _ kind: ServerKind, _ found: (setting: Setting, place: String)?, off: String) -> [DoctorFinding] {
        guard let found else { return [] }
        guard let isOn = found.setting.isOn else { return [notUnderstood(found)] }
        guard isOn else { return [] }
        let effects = effects(sight, kind)
        let hup = effects.first { $0.effect == .forks }
        let isElse = effects.contains { $0.effect == .executes }
        if hup == nil, isElse { return [] }
        return [
            DoctorFinding(
                hup == nil ? .caution : .fault, .preload,
                hup == nil ? "the code is preloaded: a HUP would keep it" : "the code is preloaded, and a reload sends HUP",
                at: [shown(found.place)] + (hup.map { [shown($0.place)] } ?? []),
                why:
                    "At HUP \(kind.name)'s main process stays and forks new workers from the code that it has loaded once: they are new, their code is old.",
                mend: "\(off), or USR2 instead of HUP")
        ]
    }

    private static func chain(_ sight: Sight) -> [DoctorFinding] {
        let watched = ["touch-chain-reload", "touch-workers-reload"].compactMap { setting($0, sight) }
        let fifo = effects(sight, .uwsgi).first { $0.effect == .chain }
        let places = watched.map { shown($0.place) } + (fifo.map { [shown($0.place)] } ?? [])
        guard !places.isEmpty else { return [] }
        let lazy = setting("lazy-apps", sight)
        let isLazy = lazy?.setting.isOn == true || setting("lazy", sight)?.setting.isOn == true
        return [
            DoctorFinding(
                .fault, .chainReload,
                isLazy ? "a chain reload forks workers that stand in the old release" : "a reload of the workers alone keeps the code",
                at: places,
                why: isLazy
                    ? "The main process keeps its folder, and new workers load what is there."
                    : "Without lazy-apps the main process has loaded the application, and new workers are forked from it.",
                mend: "touch-reload instead, or ExecReload=/bin/kill -HUP $MAINPID: uWSGI then executes itself anew")
        ]
    }

    // MARK: Folders

    private static func folder(_ sight: Sight, _ kind: ServerKind) -> [DoctorFinding] {
        guard let name = kind.folderSetting else { return [] }
        if let found = setting(name, sight) {
            guard let path = found.setting.text else { return [notUnderstood(found)] }
            guard sight.facts.isRelease(path) else { return [] }
            return [
                DoctorFinding(
                    .fault, .releaseNamed, "`\(name)` names one release: \(shown(path))", at: [shown(found.place)],
                    why: "After a deploy the server goes back to this release, and its workers run the old code.",
                    mend: kind.folderLine(shown(DoctorFacts.currentLink(path) ?? path)))
            ]
        }
        guard let main = sight.facts.service.main, let stands = main.folder, !main.isFolderDeleted, sight.facts.isRelease(stands) else { return [] }
        // uWSGI goes back to the folder itself; the others ask PWD first.
        if kind != .uwsgi, let pwd = main.shellFolder, pwd != stands, !sight.facts.isRelease(pwd) { return [] }
        let link = DoctorFacts.currentLink(stands) ?? stands
        // Only a restart of the whole unit follows then, and that does.
        let isRestarted = sight.facts.unit?.last("WorkingDirectory").map { !sight.facts.isRelease($0.value) } ?? false
        let isReloaded = !effects(sight, kind).isEmpty || sight.facts.unit == nil
        let read = sight.files.map(\.path).filter { if case .text? = sight.facts.files[$0] { true } else { false } }
        return [
            DoctorFinding(
                isRestarted && !isReloaded ? .caution : .fault, .noDirectory,
                "nothing tells \(kind.name) to follow the link: it stands in \(shown(stands))",
                at: ["process \(main.pid)" + (main.shellFolder.map { ", PWD=\(shown($0))" } ?? ", without PWD")]
                    + read.map(shown),
                why: "A reload starts the new processes in this folder again: new processes, old release.",
                mend: "\(kind.folderLine(shown(link))) in \(shown(read.first ?? "its configuration"))")
        ]
    }

    private static func unit(_ facts: DoctorFacts) -> [DoctorFinding] {
        guard let unit = facts.unit else { return [] }
        var findings: [DoctorFinding] = []
        for key in ["WorkingDirectory", "ExecStart"] {
            guard let entry = unit.last(key), let named = release(in: entry.value, facts) else { continue }
            let link = DoctorFacts.currentLink(named) ?? named
            findings.append(
                DoctorFinding(
                    .fault, .releaseNamed, "the unit names one release: \(shown(named))", at: [shown("\(entry.file):\(entry.line)")],
                    why: "Every restart starts this release again, whatever is deployed.",
                    mend: key == "WorkingDirectory" ? "WorkingDirectory=\(shown(link))" : "\(shown(link)) instead of it in \(key)"))
        }
        return findings
    }

    private static func release(in text: String, _ facts: DoctorFacts) -> String? {
        for word in CommandWords.split(text) {
            let parts = word.drop { $0 != "/" }.split(separator: "/")
            guard let index = parts.firstIndex(of: "releases"), parts.indices.contains(index + 1) else { continue }
            // A release is named by a time or a revision.
            guard parts[index + 1].contains(where: \.isNumber) else { continue }
            return "/" + parts[...(index + 1)].joined(separator: "/")
        }
        return nil
    }

    // MARK: nginx

    private static func nginx(_ sight: Sight, _ kind: ServerKind) -> [DoctorFinding] {
        guard kind == .nginx else { return [] }
        var findings: [DoctorFinding] = []
        let upgrade = effects(sight, kind).first { $0.effect == .executes }
        if let found = setting("daemon", sight), found.setting.isOn == false {
            findings.append(
                DoctorFinding(
                    upgrade == nil ? .caution : .fault, .daemonOff, "nginx runs with `daemon off`",
                    at: [shown(found.place)] + (upgrade.map { [shown($0.place)] } ?? []),
                    why:
                        "An upgrade of the program with USR2 takes the service down: the init system sees its main process end. A reload with HUP is fine.",
                    mend: "daemon on; with Type=forking and PIDFile=, or no USR2"))
        }
        if let main = sight.facts.service.main, case let words = main.arguments.count == 1 ? CommandWords.split(main.arguments[0]) : main.arguments,
            let program = words.first(where: { CommandWords.name($0) == "nginx" }), !program.hasPrefix("/")
        {
            findings.append(
                DoctorFinding(
                    upgrade == nil ? .caution : .fault, .binaryUpgrade, "nginx was started without its path", at: ["process \(main.pid)"],
                    why: "An upgrade with USR2 executes the name as it was given, finds nothing, and the service may be lost.",
                    mend: "ExecStart=/usr/sbin/nginx"))
        }
        return findings
    }

    // MARK: The token

    /// How much later than a process the file must be written: clocks and file systems are this coarse.
    private static let margin = Duration.seconds(5)

    private static func token(_ facts: DoctorFacts) -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        let folder = shown(facts.releaseFolder ?? "the release")
        switch facts.token {
        case .missing?:
            findings.append(
                DoctorFinding(
                    .caution, .noTokenFile, "there is no TOKEN in \(folder)", at: ["\(folder)/TOKEN"],
                    why: "This release was not prepared: what its workers carry cannot be told from the next one's before `prepare`.",
                    mend: "verify-token prepare --release DIR --service \(shown(facts.service.name)), before the restart"))
        case .unreadable(let problem)?:
            findings.append(
                DoctorFinding(
                    .unknown, .notRead, "\(folder)/TOKEN cannot be read: \(shown(problem))", at: ["\(folder)/TOKEN"],
                    why: "It cannot be compared with what is answered."))
        case .found?, nil: break
        }
        guard let workers = facts.workers, !workers.isEmpty else { return findings }
        if workers.allSatisfy({ $0.tokenPrefix == nil }) {
            findings.append(
                DoctorFinding(
                    .caution, .noEndpoint, "no worker answers a token", at: workers.prefix(5).map { "process \($0.pid)" },
                    why: "Without the endpoint only the processes can be judged, and not what a preloading server has forked.",
                    mend: facts.asking?.problem.map { shown($0) } ?? "an endpoint from recipes/deploys; or verify-token check --evidence process"))
        }
        if case .found(let prefix, let age)? = facts.token, workers.allSatisfy({ $0.age > age + margin }) {
            let fast = workers.filter { $0.tokenPrefix == prefix }
            if !fast.isEmpty {
                findings.append(
                    DoctorFinding(
                        .fault, .dynamicToken, "the token is read on every request",
                        at: fast.prefix(5).map { "process \($0.pid)" } + ["\(folder)/TOKEN"],
                        why: "TOKEN was written after these workers had started, and they answer it: it says what is on the disk, not what runs.",
                        mend: "read TOKEN once, when the application boots: recipes/deploys shows how"))
            }
        }
        return findings
    }
}
