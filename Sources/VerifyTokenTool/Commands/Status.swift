// `verify-token status`: what every worker carries now.

import AgentAPI
import ArgumentParser
import Platform
import Transfer

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what every worker carries now, as the agents see it.",
        discussion: """
            Exit codes:
              0   all agents have answered
              2   wrong usage
              10  an agent could not be asked
            """)

    @Option(help: ArgumentHelp("The service as its agent knows it (default: all).", valueName: "name"))
    var service: String?

    @OptionGroup(title: "Agents") var agents: DirectAgentOptions

    @Flag(help: "Print the answers as one JSON object.")
    var json = false

    func run() async throws {
        let doors = try await agents.way.doors()
        let transfers = try Transfers()
        let answers = await withTaskGroup(of: (Int, Result<[HostDeploy], DoorError>).self) { group in
            for (index, door) in doors.enumerated() {
                group.addTask { [service] in
                    do throws(DoorError) { return (index, .success(try await door.status(service, with: transfers))) } catch {
                        return (index, .failure(error))
                    }
                }
            }
            var all: [(Int, Result<[HostDeploy], DoorError>)] = []
            for await answer in group { all.append(answer) }
            return all.sorted { $0.0 < $1.0 }
        }
        var services: [HostDeploy] = []
        var problems: [(door: String, problem: String)] = []
        for (index, answer) in answers {
            switch answer {
            case .success(let some): services += some
            case .failure(let error): problems.append((doors[index].name, error.description))
            }
        }
        if json {
            Output.line(
                JSON.object([
                    .init("schema", 1), .init("services", .array(services.map(\.json))),
                    .init("problems", .array(problems.map { ["host": .string($0.door), "problem": .string($0.problem)] })),
                ]).text)
        } else {
            if !services.isEmpty || problems.isEmpty { for line in StatusTable(services).lines { Output.line(line) } }
        }
        for problem in problems { Output.error("verify-token: \(problem.door): \(problem.problem)") }
        if !problems.isEmpty { throw ExitCode(Verdict.unreachable.exitCode) }
    }
}
