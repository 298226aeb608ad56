// `verify-token run`: a deploy command with everything around it.

import AgentAPI
import ArgumentParser
import DeployVerification
import Glibc
import Platform
import Transfer

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prepares, runs a deploy command, and checks what came of it.",
        discussion: """
            Opens a deploy window at the agents, so that nobody is alerted of the restart; prepares as `prepare` does; runs the command with \
            DEPLOY_TOKEN and DEPLOY_ID in its environment; checks as `check` does; and closes the window in any case, also after a signal. \
            Without --release the command puts $DEPLOY_TOKEN into the file TOKEN of the release itself, before the restart.

            The exit code is that of `check`, or the command's own when it failed: then nothing is checked.
            """)

    @OptionGroup(title: "What is deployed") var release: ReleaseOptions
    @OptionGroup(title: "URLs") var urls: URLOptions
    @OptionGroup(title: "How the application is asked") var login: LoginOptions
    @OptionGroup(title: "What counts as verified") var judging: JudgingOptions
    @OptionGroup(title: "Availability") var probe: ProbeOptions
    @OptionGroup(title: "Availability") var limits: LimitOptions
    @OptionGroup(title: "Agents") var agents: AgentOptions
    @OptionGroup(title: "The result") var result: ResultOptions

    @Option(
        help: ArgumentHelp(
            "What to run with sh -c when the command failed or the deploy is not verified; DEPLOY_VERDICT says why. Not after a signal.",
            valueName: "command"))
    var onFailure: String?

    @Flag(help: "Open no deploy window: whoever is to hear of the service hears of its restart.")
    var noWindow = false

    @Argument(parsing: .postTerminator, help: "What deploys, after `--`.")
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("The command is missing: say it after `--`.") }
        guard release.service != nil else { throw ValidationError("--service is missing: which service is deployed?") }
    }

    func run() async throws {
        let time = SystemTime()
        let order = try await PrepareOrder(release, urls, login, probe, agents, keepsNote: true, opensWindow: !noWindow && !agents.way.isLocal)
        if result.annotates { Output.error(GitHub.mask(order.token)) }
        let course = Course(time: time)
        Interruption.listen { course.note($0) }
        let window = try openWindow()
        let status: Int32
        do {
            status = try await deploy(order, course, time)
        } catch {
            close(window)
            throw error
        }
        close(window)
        throw ExitCode(course.signal.map { 128 + $0 } ?? status)
    }

    // MARK: The deploy

    private func deploy(_ order: PrepareOrder, _ course: Course, _ time: SystemTime) async throws -> Int32 {
        let transfers = try Transfers(maximumAtOnce: SteadyProbe.atOnce)
        let note = try await order.carryOut(with: transfers)
        if result.annotates, note.token != order.token.text { Output.error("::add-mask::\(note.token)") }
        let variables = [("DEPLOY_TOKEN", note.token), ("DEPLOY_ID", note.id)]
        let probing = probe.probe && !order.requests.isEmpty ? SteadyProbe(order.requests, rate: probe.probeRate, time: time) : nil
        let probeTask = probing.map { probing in Task { await probing.run(with: transfers) } }
        defer { probeTask?.cancel() }

        // A signal that came before there was a command to have it.
        guard course.signal == nil else { return await giveUp(order, note, transfers) }
        let status = await course.run(command, variables: variables, isQuietOnOutput: result.json)
        guard course.signal == nil else { return await giveUp(order, note, transfers) }
        guard status == 0 else {
            tellFailure(of: status, note)
            // Before --on-failure, which may deploy again.
            await order.end(transfers)
            NoteFolder.ofThisUser.forget(note.id)
            await runOnFailure("COMMAND_FAILED", variables, course)
            return status
        }

        let examination = Examination(await plan(order, note, probing), showsProgress: !result.quiet, time: time)
        guard let outcome = await examine(examination, course, transfers) else {
            await examination.interrupted()
            return await giveUp(order, note, transfers)
        }
        probeTask?.cancel()
        NoteFolder.ofThisUser.conclude(note.id)
        let isWritten = Announcement(options: result).tell(outcome)
        await report(outcome, of: note.way, with: transfers)
        // What --on-failure starts again is the deploy's as well.
        if outcome.verdict != .verified { await runOnFailure(outcome.verdict.rawValue, variables, course) }
        if order.opensWindow { await order.end(transfers) }
        return outcome.verdict == .verified && !isWritten ? 2 : outcome.verdict.exitCode
    }

    private func plan(_ order: PrepareOrder, _ note: DeployNote, _ probing: SteadyProbe?) async -> Plan {
        var plan = Plan()
        plan.token = try? DeployToken(parsing: note.token)
        plan.deploy = note.id
        plan.service = note.service
        plan.prepared = note.began
        plan.person = note.person
        plan.revision = note.revision
        plan.requests = urls.resolveAll ? await URLOptions.spread(order.requests) : order.requests
        plan.way = note.way
        plan.doors = order.doors
        plan.hosts = note.hosts
        judging.apply(to: &plan)
        plan.limits = limits.limits(byDefault: probe.probe)
        plan.check = judging.check(for: plan)
        plan.probe = probing
        return plan
    }

    /// - Returns: `nil` when a signal came first.
    private func examine(_ examination: Examination, _ course: Course, _ transfers: Transfers) async -> CheckResult? {
        await withTaskGroup(of: CheckResult?.self) { group in
            group.addTask { await examination.run(with: transfers) }
            group.addTask {
                await course.untilSignal()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return course.signal == nil ? first : nil
        }
    }

    private func giveUp(_ order: PrepareOrder, _ note: DeployNote, _ transfers: Transfers) async -> Int32 {
        Output.error("verify-token: interrupted: the deploy \(note.id) is not checked")
        await order.end(transfers)
        NoteFolder.ofThisUser.forget(note.id)
        // The caller says which signal it was.
        return 1
    }

    private func tellFailure(of status: Int32, _ note: DeployNote) {
        let reason = "the command ended with status \(status): nothing was checked"
        if result.json {
            Output.line(
                JSON.object([
                    .init("schema", 1), .init("verdict", .null), .init("exit_code", .integer(Int64(status))), .init("deploy_id", .string(note.id)),
                    .init("service", JSON(note.service)), .init("reasons", [.string(reason)]),
                ]).text)
        }
        Output.error("verify-token: \(reason)")
    }

    private func runOnFailure(_ verdict: String, _ variables: [(String, String)], _ course: Course) async {
        guard let onFailure else { return }
        let status = await course.run(
            ["/bin/sh", "-c", onFailure], variables: variables + [("DEPLOY_VERDICT", verdict)], isQuietOnOutput: result.json)
        if status != 0 { Output.error("verify-token: --on-failure ended with status \(status)") }
    }

    // MARK: The window

    /// Other hosts' agents open theirs as they prepare.
    /// - Returns: where to close it; `nil` when there is none.
    private func openWindow() throws -> ControlSocket? {
        guard !noWindow, agents.way.isLocal else { return nil }
        let socket = ControlSocket(besides: agents.way.socket)
        do throws(DoorError) {
            let answer = try socket.ask(.startDeploy(units: units, owner: owner, reason: "verify-token run", length: nil))
            guard answer.isGood else { throw DoorError(kind: .refused(status: 0), description: oneLine(answer.text)) }
            return socket
        } catch {
            Output.error("verify-token: no deploy window: \(error) (--no-window goes on without)")
            throw ExitCode(Verdict.unreachable.exitCode)
        }
    }

    private func close(_ window: ControlSocket?) {
        guard let window else { return }
        do throws(DoorError) {
            let answer = try window.ask(.finishDeploy(units: units, owner: owner))
            if !answer.isGood { Output.error("warning: the deploy window was not closed: \(oneLine(answer.text))") }
        } catch {
            Output.error("warning: the deploy window was not closed: \(error)")
        }
    }

    private var units: [String] { release.service.map { [$0] } ?? [] }
    private var owner: String? { release.person ?? userName() }
}
