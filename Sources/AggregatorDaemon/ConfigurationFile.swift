// The configuration file as the commands find it: read, checked whole, with all that it refers to.

import AggregatorCore
import ArgumentParser
import CheckKinds
import Checks
import Glibc
import Messages
import Notifiers
import Platform
import Transfer

/// Where the configuration is.
struct ConfigurationFile: ParsableArguments {
    static let standardPath = "/etc/rollcall/aggregator.yaml"

    @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file.", valueName: "file"))
    var path: String = standardPath

    /// A configuration and what was made from it.
    struct Loaded: Sendable {
        var configuration: AggregatorConfiguration
        var notifier: (any Notifier)?
        var transfers: Transfers
    }

    /// Faults, and the text that they are in.
    struct Problem: Error {
        var faults: [Fault]
        var text: String

        var rendered: String { faults.map { $0.rendered(in: text) }.joined() }
    }

    /// - Parameter transfers: what checks and mails go through; a reload keeps what there is.
    func load(transfers: Transfers) throws(Problem) -> Loaded {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try AtomicFile.read(path, limit: 2 << 20)
        } catch {
            throw Problem(faults: [Fault(file: path, message: error.problem)], text: "")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let stateDirectory = getenv("STATE_DIRECTORY").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        do throws(Faults) {
            let configuration = try AggregatorConfiguration(
                parsing: bytes, file: path, kinds: checkKinds(transfers: transfers), stateDirectory: stateDirectory)
            var faults: [Fault] = []
            let notifier = notifier(configuration, transfers, &faults)
            for file in [configuration.certificateFile, configuration.keyFile].compactMap(\.self) where access(file.value, R_OK) != 0 {
                faults.append(fault(at: file.place, "\(file.value) cannot be read: \(String(cString: strerror(errno)))"))
            }
            if !faults.isEmpty { throw Faults(faults) }
            return Loaded(configuration: configuration, notifier: notifier, transfers: transfers)
        } catch {
            throw Problem(faults: error.all, text: text)
        }
    }

    /// For commands: without a correct configuration there is nothing to do but say what is wrong.
    func loadOrExit() throws -> Loaded {
        let transfers = try Transfers()
        do throws(Problem) {
            return try load(transfers: transfers)
        } catch {
            printError(error.rendered)
            throw ExitCode(78)  // EX_CONFIG of sysexits.h, which systemd shows as CONFIG
        }
    }

    private func notifier(_ configuration: AggregatorConfiguration, _ transfers: Transfers, _ faults: inout [Fault]) -> (any Notifier)? {
        guard let mail = configuration.mail, let kind = notifierKinds(transfers: transfers).first(where: { $0.word == "mail" }) else { return nil }
        var settings: [String: Setting] = [
            "server": .text(mail.server), "from": .text(mail.from), "encryption": .text(mail.needsTLS ? "required" : "none"),
        ]
        if let user = mail.user { settings["user"] = .text(user) }
        if let passwordFile = mail.passwordFile { settings["password_file"] = .text(passwordFile) }
        if let caFile = mail.caFile { settings["ca_file"] = .text(caFile) }
        switch kind.makeNotifier("mail", settings) {
        case .success(let notifier): return notifier
        case .failure(let errors):
            for error in errors.all {
                let key = error.key == "encryption" ? "tls" : error.key
                faults.append(fault(at: mail.places[key] ?? mail.places["server"] ?? Place(line: 1, column: 1), "mail.\(key) \(error.problem)"))
            }
            return nil
        }
    }

    private func fault(at place: Place, _ message: String) -> Fault {
        Fault(file: path, line: place.line, column: place.column, message: message)
    }
}

func printError(_ text: String) {
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { write(2, $0.baseAddress! + written, bytes.count - written) }
        guard count > 0 || errno == EINTR else { return }
        written += max(0, count)
    }
}
