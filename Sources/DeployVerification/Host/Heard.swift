// What one worker has answered so far.

import AgentAPI

/// The answers of one process. An answer counts once a later look has shown the process still as it was: until then it may be that of
/// the program that a process of this number runs by now.
struct Heard: Sendable {
    private var waiting: [WorkerAnswer] = []
    /// The last answer that says something.
    private(set) var latest: WorkerAnswer?
    /// It answered another token before it answered that of the deploy.
    private(set) var hasChangedItsToken = false
    private(set) var hadOtherToken = false
    private(set) var denials = 0
    private(set) var firstDenial: Duration?
    /// Connections that it took and on which it said nothing.
    private(set) var silences = 0

    mutating func take(_ answer: WorkerAnswer) {
        if waiting.count < 16 { waiting.append(answer) }
    }

    /// Whether it has answers that this look is too early for.
    func isWaiting(for look: Duration) -> Bool { waiting.contains { $0.at >= look } }

    /// - Returns: whether anything is known that was not before.
    mutating func confirm(by look: Duration, isToken: (String) -> Bool) -> Bool {
        var news = false
        for answer in waiting where answer.at < look {
            switch answer.content {
            case .lost, .silence: silences += 1
            case .accessDenied:
                denials += 1
                firstDenial = firstDenial ?? answer.at
                if case .token = latest?.content { continue }
                news = news || latest == nil
                latest = answer
            case .other(let other):
                // Which code a process has does not change: that it says no to a question takes no right answer back.
                if case .token = latest?.content, !other.isAnswerOfApplication { continue }
                news = news || latest?.content != answer.content
                latest = answer
            case .token(let text):
                let isRight = isToken(text)
                if isRight, hadOtherToken { hasChangedItsToken = true }
                if !isRight { hadOtherToken = true }
                news = news || latest?.content != answer.content
                latest = answer
            }
        }
        waiting.removeAll { $0.at < look }
        return news
    }
}
