// Questions about folders, of which some may never be answered.

import CLinux
import Glibc
import Platform
import Synchronization

/// Asks file systems on a thread that may be lost: when the server behind one is gone, the kernel lets nobody out of a question. Whoever asks
/// waits for a moment at most, and a folder that was silent is not asked again before its question comes back.
final class FolderQuestions {
    typealias Question<Answer> = (folder: String, read: @Sendable () -> Answer)

    /// For one folder, in milliseconds.
    private static let patience: Int32 = 100
    /// So many threads may wait for the kernel; with more nothing is asked.
    private static let mostSilent = 32

    private let silent = Silent()

    /// - Parameter folder: what the question is about, so that the same one is not asked twice while it is silent.
    /// - Returns: `nil` when there is no answer in time.
    func ask<Answer: Sendable>(about folder: String, _ read: @escaping @Sendable () -> Answer) -> Answer? {
        ask([(folder, read)])[0]
    }

    /// Asks one after the other, and goes on behind those that are silent.
    func ask<Answer: Sendable>(_ questions: [Question<Answer>]) -> [Answer?] {
        var answers = [Answer?](repeating: nil, count: questions.count)
        var open = Array(questions.indices)
        while true {
            let known = silent.folders
            open.removeAll { known.contains(questions[$0].folder) }
            guard !open.isEmpty, known.count < Self.mostSilent, let round = Round(open.map { questions[$0] }, silent: silent),
                detachThread({ round.run() })
            else { return answers }
            let found = round.wait(Self.patience)
            for (index, answer) in zip(open, found) { answers[index] = answer }
            open.removeFirst(found.count)
        }
    }
}

/// The folders whose question is still open.
private final class Silent: Sendable {
    private let held = Mutex<Set<String>>([])

    var folders: Set<String> { held.withLock { $0 } }
    func insert(_ folder: String) { _ = held.withLock { $0.insert(folder) } }
    func remove(_ folder: String) { _ = held.withLock { $0.remove(folder) } }
}

/// The questions that one thread asks.
private final class Round<Answer: Sendable>: @unchecked Sendable {
    private struct Progress {
        var answers: [Answer] = []
        var isAbandoned = false
    }

    // Neither changes.
    private let questions: [FolderQuestions.Question<Answer>]
    private let bell: Int32
    private let silent: Silent
    private let progress = Mutex(Progress())

    init?(_ questions: [FolderQuestions.Question<Answer>], silent: Silent) {
        bell = eventfd(0, Int32(EFD_CLOEXEC))
        guard bell >= 0 else { return nil }
        self.questions = questions
        self.silent = silent
    }

    deinit { close(bell) }

    func run() {
        for question in questions {
            let answer = question.read()
            let isAbandoned = progress.withLock { progress in
                if !progress.isAbandoned { progress.answers.append(answer) }
                return progress.isAbandoned
            }
            if isAbandoned { return silent.remove(question.folder) }
        }
        eventfd_write(bell, 1)
    }

    /// What was answered before one took too long, which is then known as silent.
    func wait(_ patience: Int32) -> [Answer] {
        var seen = 0
        while true {
            var ready = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
            let count = poll(&ready, 1, patience)
            if count < 0, errno == EINTR { continue }
            let isRung = count > 0
            let (answers, isOver) = progress.withLock { progress in
                let isOver = progress.answers.count == questions.count
                if !isOver, !isRung, progress.answers.count == seen {
                    progress.isAbandoned = true
                    silent.insert(questions[seen].folder)
                }
                return (progress.answers, isOver || progress.isAbandoned)
            }
            if isOver { return answers }
            seen = answers.count
        }
    }
}
