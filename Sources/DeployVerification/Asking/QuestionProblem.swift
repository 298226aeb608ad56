// Why no worker answers a token, in a sentence.

import AgentAPI

/// What was asked, what came, and what makes it right; `nil` when a token was answered or the application itself said that it has none.
struct QuestionProblem: CustomStringConvertible {
    let description: String

    init?(_ question: TokenQuestion, answers: [WorkerAnswer.Content], searches: [ListenerSearch]) {
        let others = answers.compactMap { if case .other(let answer) = $0 { answer } else { nil } }
        guard !answers.contains(where: \.isToken) else { return nil }
        if let status = answers.lazy.compactMap(\.deniedStatus).first {
            description =
                question.user == nil
                ? "they want a name and a password (\(status)): `deploy_user` and `deploy_password_file` in the service's check"
                : "access denied (\(status)): the name or the password is wrong"
            return
        }
        // A release that has no endpoint yet, or no TOKEN, says so itself.
        guard !others.contains(where: { $0.isAnswerOfApplication }) else { return nil }
        if let worst = others.first(where: { !$0.isMissing }) ?? others.first {
            description = Self.text(worst, question)
            return
        }
        // Nothing was answered at all: what was tried says more.
        guard let search = searches.first(where: { !$0.search.tries.isEmpty }), let first = search.search.tries.first else { return nil }
        description = "asked as \(first.way.words) at \(search.address.text): \(first.outcome.words)"
    }

    private static func text(_ answer: OtherAnswer, _ question: TokenQuestion) -> String {
        let asked = answer.way.map { " (asked: \($0.words))" } ?? ""
        let wrapped =
            answer.tokens.isEmpty ? nil : "it holds something like a token with more around it: make it answer the token alone, as plain text"
        let remedy = (wrapped ?? answer.remedy(path: question.path)).map { "; \($0)" } ?? ""
        return "they answer \(answer.seen)\(asked)\(remedy)"
    }
}

extension WorkerAnswer.Content {
    var isToken: Bool { if case .token = self { true } else { false } }
    fileprivate var deniedStatus: Int? { if case .accessDenied(let status) = self { status } else { nil } }
}
