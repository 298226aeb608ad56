// What is deployed, and of which service: for `prepare` and `run`.

import ArgumentParser
import DeployVerification

struct ReleaseOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The release's folder; the file TOKEN is written there.", valueName: "folder"))
    var release: String?

    @Option(
        help: ArgumentHelp(
            "The release's folder on the hosts of --agents or --aggregator, where something else writes the TOKEN.", valueName: "folder"))
    var remoteRelease: String?

    @Option(
        help: ArgumentHelp(
            "The token to write instead of a new one: 16 to 128 hexadecimal digits and dashes; - reads it from standard input.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("The service as its agent knows it: its workers before the deploy are remembered.", valueName: "name"))
    var service: String?

    @Flag(help: "The release is put where the running workers stand.")
    var inPlace = false

    @Flag(help: "Take over from another deploy of the service that is under way.")
    var force = false

    @Option(help: ArgumentHelp("The path at which workers answer their token (default: as the agent's configuration says).", valueName: "path"))
    var tokenPath: String?

    @Option(help: ArgumentHelp("The path that --probe asks each host's workers for.", valueName: "path"))
    var probePath = "/"

    @Option(help: ArgumentHelp("Who deploys (default: $SUDO_USER or $USER).", valueName: "name"))
    var person: String?

    @Option(help: ArgumentHelp("Which revision is deployed (default: what the release's file REVISION says).", valueName: "text"))
    var revision: String?

    func validate() throws {
        guard release != nil || service != nil else { throw ValidationError("--release is missing: where is the new release?") }
        guard release == nil || remoteRelease == nil else { throw ValidationError("--release and --remote-release exclude each other.") }
        guard remoteRelease?.hasPrefix("/") ?? true else { throw ValidationError("--remote-release must begin with /.") }
        guard service?.isEmpty != true else { throw ValidationError("--service is empty.") }
        for (option, path) in [("--token-path", tokenPath), ("--probe-path", probePath)] {
            guard path.map({ $0.hasPrefix("/") && $0.utf8.allSatisfy { $0 > 32 && $0 < 127 } }) ?? true else {
                throw ValidationError("\(option) must begin with / and have no spaces.")
            }
        }
    }
}
