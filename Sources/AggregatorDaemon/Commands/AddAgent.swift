// `add-agent`: a token for an agent, as the dashboard makes them.

import AggregatorCore
import ArgumentParser
import Crypto
import Platform
import SQLiteStore

struct AddAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-agent",
        abstract: "Makes a token with which an agent may report, and prints it: the only time that it can be seen.",
        discussion: "Put it into the agent's token file (mode 600). The aggregator keeps its SHA-256 alone; it may be running meanwhile.")

    @Argument(help: "A name for the token, usually the host's.")
    var name: String

    @OptionGroup var file: ConfigurationFile

    @Flag(help: "Replace the token of that name; the agent that uses it can no longer report.")
    var replace = false

    func validate() throws {
        guard (1...64).contains(name.count), !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw ValidationError("The name should have between 1 and 64 characters.")
        }
    }

    func run() async throws {
        let loaded = try file.loadOrExit()
        let isNew: Bool
        let token = randomHex(bytes: 32)
        do throws(StoreError) {
            let store = try SQLiteStore(path: loaded.configuration.database)
            let known = try await store.agentTokens()
            isNew = replace || !known.contains { $0.name == name }
            if isNew {
                try await store.addAgentToken(name: name, digest: hex(SHA256.hash(data: Array(token.utf8))), at: SystemTime().now().wall)
            }
        } catch {
            printError("\(error)\n")
            throw ExitCode.failure
        }
        guard isNew else {
            printError("There is a token of that name. Choose another name, or add --replace.\n")
            throw ExitCode.failure
        }
        print(token)
    }
}
