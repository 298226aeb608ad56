// `verify-token check`: looks until everything is proven new, or the time is over.

import AgentAPI
import ArgumentParser
import DeployVerification
import Glibc
import Platform
import Transfer

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves that the new release runs, after the restart.",
        discussion: """
            URLs prove the way to the service: each look is a connection of its own; redirects are not followed. Refused connections, \
            errors 5xx and failed TLS are tried again until the time is over; a denied access or a certificate that is not trusted for \
            five seconds at most. Agents prove every worker of every host. With both, both must be right; what was not asked is said. Times \
            are written 60, 0.5, 500ms, 60s, 5m; a number alone is seconds.

            Exit codes; of several hosts and URLs the worst counts:
              0   VERIFIED              the new release answers, and nothing else
              1   STALE                 the old release still answers
              2                         wrong usage
              3   MIXED                 new and other answers beside each other
              4   DOWN                  nobody accepts connections
              5   CRASH_LOOP            new processes die soon after their start
              6   NEW_PROCESS_OLD_CODE  the processes are new, but not their code
              7   DYNAMIC_TOKEN         the token is read on every request
              8   UNPROVEN              nothing proves which release answers
              9   IN_PROGRESS           only the new release by now, not yet long enough
              10  UNREACHABLE           no way there, access denied, or not trusted
              11  SLO_BREACHED          verified, but too many requests failed or stalled
              130                       interrupted
            """)

    @OptionGroup(title: "Which deploy") var which: WhichOptions
    @OptionGroup(title: "URLs") var urls: URLOptions
    @OptionGroup(title: "How the application is asked") var login: LoginOptions

    @OptionGroup(title: "What counts as verified") var judging: JudgingOptions
    @OptionGroup(title: "Availability") var probe: ProbeOptions
    @OptionGroup(title: "Availability") var limits: LimitOptions
    @OptionGroup(title: "Agents") var agents: AgentOptions
    @OptionGroup(title: "The result") var result: ResultOptions

    func run() async throws {
        let time = SystemTime()
        let plan = try await makePlan(time)
        if result.annotates, let token = plan.token { Output.error(GitHub.mask(token)) }
        let transfers = try Transfers(maximumAtOnce: SteadyProbe.atOnce)
        let examination = Examination(plan, showsProgress: !result.quiet, time: time)
        Interruption.onSignal { number in
            await examination.interrupted()
            Glibc.exit(128 + number)
        }
        let probing = plan.probe.map { probe in Task { await probe.run(with: transfers) } }
        let outcome = await examination.run(with: transfers)
        probing?.cancel()
        NoteFolder.ofThisUser.conclude(plan.deploy)
        let isWritten = Announcement(options: result).tell(outcome)
        await report(outcome, of: plan.way, with: transfers)
        throw ExitCode(outcome.verdict == .verified && !isWritten ? 2 : outcome.verdict.exitCode)
    }

    private func makePlan(_ time: SystemTime) async throws -> Plan {
        let said = try which.readToken()
        let note = try findNote(said, at: time.now().wall)
        let token = try said ?? note.map { try DeployToken(option: "--deploy", $0.token) }
        if let deploy = which.deploy, note == nil, token == nil, !agents.isSaid || !urls.url.isEmpty {
            throw ValidationError(
                "--deploy \(deploy): this machine has not prepared it. Say which agents know it (--agents, --agent-socket), and for a URL the token (--token)."
            )
        }
        var plan = Plan()
        plan.token = token
        plan.deploy = which.deploy ?? note?.id
        plan.service = which.service ?? note?.service
        plan.prepared = note?.began
        plan.person = note?.person ?? userName()
        plan.revision = note?.revision
        let login = try login.user != nil || note == nil ? login.credentials() : noteLogin(note)
        var options = urls
        if options.hostHeader == nil { options.hostHeader = note?.hostHeader }
        let addresses = options.url.isEmpty ? note?.urls ?? [] : options.url
        let requests = try options.requests(addresses, login: login, quiet: result.quiet)
        plan.requests = options.resolveAll ? await URLOptions.spread(requests) : requests
        let way = agents.isSaid ? agents.way : note?.way ?? AgentWay()
        plan.way = way
        // A URL alone is asked alone; whoever names a service or a prepared one wants its workers asked.
        if plan.service != nil || agents.isSaid { plan.doors = try await way.doors() }
        guard !plan.requests.isEmpty || !plan.doors.isEmpty else {
            throw ValidationError("--url or --service is missing: what should answer the token?")
        }
        guard plan.doors.isEmpty || plan.service != nil || plan.deploy != nil else {
            throw ValidationError("--service is missing: which service are the agents to look at?")
        }
        if !agents.isSaid || way == note?.way { plan.hosts = note?.hosts ?? [] }
        judging.apply(to: &plan)
        plan.limits = limits.limits(byDefault: probe.probe || note?.probes == true)
        if !plan.doors.isEmpty { plan.check = agentCheck(plan, note, login) }
        if probe.probe, !requests.isEmpty { plan.probe = SteadyProbe(requests, rate: probe.probeRate, time: time) }
        if probe.probe, requests.isEmpty, note?.probes != true {
            Output.error("warning: --probe: hosts are probed from `prepare --probe` on; here it needs a --url")
        }
        return plan
    }

    private func agentCheck(_ plan: Plan, _ note: DeployNote?, _ login: Credentials?) -> DeployCheck {
        var check = judging.check(for: plan)
        check.hosts = URLOptions.hosts(urls.hostHeader ?? note?.hostHeader, plan.requests.map(\.endpoint))
        // An agent that has the deploy from `prepare` knows how its workers are asked; one that was started again since has kept no password.
        guard let tokenPath = which.tokenPath ?? note?.tokenPath else { return check }
        warnOfLogin(login, for: tokenPath, plan.doors)
        let known = plan.doors.contains(where: \.isAggregator) ? nil : login
        check.question = TokenQuestion(path: tokenPath, host: urls.hostHeader ?? note?.hostHeader, user: known?.user, password: known?.password)
        return check
    }

    private func findNote(_ token: DeployToken?, at now: Timestamp) throws -> DeployNote? {
        let folder = NoteFolder.ofThisUser
        guard let deploy = which.deploy else { return token.flatMap { folder.note(token: $0.text, service: which.service, now: now) } }
        let note = folder.note(deploy)
        if let token, let note, note.token != token.text { throw ValidationError("--token is not the token of \(deploy).") }
        return note
    }

    private func noteLogin(_ note: DeployNote?) throws -> Credentials? {
        try LoginOptions.credentials(user: note?.user, passwordFile: note?.passwordFile)
    }
}

struct WhichOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The deploy that `prepare` printed with --print id.", valueName: "id"))
    var deploy: String?

    @Option(help: ArgumentHelp("The token; - reads it from standard input.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("A file with the token, such as the release's TOKEN.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("The service as its agent knows it.", valueName: "name"))
    var service: String?

    @Option(help: ArgumentHelp("For a deploy that nobody prepared: the path at which workers answer their token.", valueName: "path"))
    var tokenPath: String?

    func validate() throws {
        let told = [token != nil, tokenFile != nil].count { $0 }
        guard told <= 1 else { throw ValidationError("--token and --token-file exclude each other.") }
        guard told == 1 || deploy != nil else { throw ValidationError("One of --token, --token-file and --deploy is needed.") }
        guard deploy.map(DeployNote.isID) ?? true else { throw ValidationError("--deploy: an id is d- and hexadecimal digits.") }
        guard tokenPath?.hasPrefix("/") ?? true else { throw ValidationError("--token-path must begin with /.") }
    }

    func readToken() throws -> DeployToken? {
        if let token { return try DeployToken(option: "--token", token) }
        guard let tokenFile else { return nil }
        var text: String
        do throws(FileError) {
            text = String(decoding: try AtomicFile.read(tokenFile, limit: 4096), as: UTF8.self)
        } catch {
            throw ValidationError("--token-file: \(error).")
        }
        if text.hasSuffix("\n") { text.removeLast() }
        do throws(DeployTokenError) { return try DeployToken(parsing: text) } catch { throw ValidationError("--token-file: \(error).") }
    }
}
