// `verify-token doctor`: what would make a restart keep old code, before any deploy.

import AgentAPI
import ArgumentParser
import DeployVerification
import Glibc
import Platform
import Transfer

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Names what would make a restart silently keep old code, before any deploy.",
        discussion: """
            Reads the service's command line, its unit and its configuration files on this host, and executes nothing of them: what only the \
            server itself could tell is said to be unknown. An agent of another host is asked as well; its files are then not read.

            Exit codes:
              0   nothing that would keep old code
              1   something would, or no deploy could be proven
              2   wrong usage
              10  the agent could not be asked
            """)

    @Option(help: ArgumentHelp("The service as its agent knows it.", valueName: "name"))
    var service: String

    @Flag(
        help:
            "Ask the workers for their token too, in all ways that may be theirs, and say which one they answer and the line for the service's file. Compare what they answer with the release's file: an endpoint that reads it on every request is found so. Nothing is written."
    )
    var ask = false

    @Option(
        help: ArgumentHelp("Where workers answer their token (default: what the service's own file says, or /about/deploy).", valueName: "path"))
    var tokenPath: String?

    @Option(help: ArgumentHelp("A name of the application, for its `Host`.", valueName: "name"))
    var hostHeader: String?

    @OptionGroup(title: "How the application is asked") var login: LoginOptions

    @OptionGroup(title: "Agents") var agents: DirectAgentOptions

    @Flag(help: "Print the findings as one JSON object.")
    var json = false

    func validate() throws {
        guard !service.isEmpty else { throw ValidationError("--service is empty.") }
        guard ask || (tokenPath == nil && hostHeader == nil && login.user == nil) else {
            throw ValidationError("--token-path, --host-header and --user are for --ask.")
        }
        if let tokenPath, !tokenPath.hasPrefix("/") || !tokenPath.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) {
            throw ValidationError("--token-path begins with a slash, in ASCII without spaces.")
        }
        if let hostHeader, !isHostText(hostHeader) { throw ValidationError("--host-header is no host.") }
    }

    func run() async throws {
        let doors = try await agents.way.doors()
        let credentials = ask ? try login.credentials() : nil
        let transfers = try Transfers()
        var reports: [DoctorReport] = []
        var problems: [(door: String, problem: String)] = []
        for door in doors {
            do throws(DoorError) {
                reports.append(try await examine(door, credentials, with: transfers))
            } catch {
                problems.append((door.name, error.description))
            }
        }
        if json {
            Output.line(
                JSON.object([
                    .init("schema", 1), .init("service", .string(service)), .init("hosts", .array(reports.map(\.json))),
                    .init("problems", .array(problems.map { ["host": .string($0.door), "problem": .string($0.problem)] })),
                ]).text)
        } else {
            for report in reports { for line in report.lines { Output.line(line) } }
        }
        for problem in problems { Output.error("verify-token: \(problem.door): \(problem.problem)") }
        if !problems.isEmpty { throw ExitCode(Verdict.unreachable.exitCode) }
        if reports.contains(where: \.hasFault) { throw ExitCode(1) }
    }

    private func examine(_ door: Door, _ credentials: Credentials?, with transfers: Transfers) async throws(DoorError) -> DoctorReport {
        let answer = try await door.inspect(service, with: transfers)
        let inspected: DoctorService
        do throws(RequestError) {
            inspected = try DoctorService(answer)
        } catch {
            throw DoorError(kind: .refused(status: 0), description: "does not answer like a Rollcall agent: \(error.problem)")
        }
        let reader = DoctorReader()
        var facts = agents.way.isLocal ? reader.facts(of: inspected) : DoctorFacts(inspected)
        if ask {
            let question = tokenPath.map { TokenQuestion(path: $0, host: hostHeader, user: credentials?.user, password: credentials?.password) }
            facts.asking = try await door.ask(
                AskingOrder(service: service, question: question, hosts: [hostHeader].compactMap { $0 }), with: transfers)
            let status = try await door.status(service, with: transfers).first
            facts.workers = (status?.processes ?? []).filter { $0.role == .worker }.map {
                DoctorFacts.Worker(pid: $0.pid, age: $0.age, tokenPrefix: $0.tokenPrefix == "none" ? nil : $0.tokenPrefix)
            }
        }
        return DoctorReport(host: door.name, facts: facts, isLocal: agents.way.isLocal, hasAsked: ask)
    }
}
