// Whose workers are asked which deploy token they carry, and how.

import AgentAPI
import AgentCore
import Platform

/// The questions of all services that are checked, with their passwords.
struct WorkerQuestions: Sendable {
    private let checks: [(check: ServiceCheck, question: TokenQuestion?)]

    /// - Parameter secret: reads a file; `nil` where that fails.
    init(_ checks: [ServiceCheck], secret: (String) -> Secret?) {
        self.checks = checks.map { check in
            let question = check.deployQuestion.map { told in
                TokenQuestion(
                    path: told.path, host: told.host, user: told.user, password: told.passwordFile.flatMap(secret), language: told.language,
                    tls: told.tls, proxyHeader: told.proxyHeader, headers: told.headers, script: told.script)
            }
            return (check, question)
        }
    }

    /// A service's own check decides; one that only a pattern means is asked as its pattern says.
    @Sendable func of(_ service: String) -> TokenQuestion? {
        let covering = checks.filter { $0.check.covers(service) }
        return (covering.first { !$0.check.isPattern } ?? covering.first { $0.question != nil })?.question
    }
}
