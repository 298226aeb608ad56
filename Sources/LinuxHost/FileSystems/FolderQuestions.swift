// Questions about folders, of which some may never be answered.

import CLinux
import Glibc
import Platform
import Synchronization

/// Asks file systems on a thread that may be lost: when the server behind one is gone, the kernel lets nobody out of a question. Whoever asks
/// waits for a moment at most, and a folder that was silent is not asked again before its question comes back. One thread does for all
/// questions as long as they are answered; when one is silent, the next question gets another thread.
final class FolderQuestions {
    typealias Question<Answer> = (folder: String, read: @Sendable () -> Answer)

    /// For one folder, in milliseconds.
    private static let patience: Int32 = 100
    /// So many threads may wait for the kernel; with more nothing is asked.
    private static let mostSilent = 32

    private let silent = Silent()
    private var helper: Helper?

    deinit { helper?.end() }

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
            if !known.isEmpty { open.removeAll { known.contains(questions[$0].folder) } }
            guard !open.isEmpty, known.count < Self.mostSilent, let helper = helper ?? Helper() else { return answers }
            self.helper = helper
            let round = Round(open.map { questions[$0] }, silent: silent, bell: helper.answers)
            helper.give { round.run() }
            let found = round.wait(Self.patience)
            for (index, answer) in zip(open, found) { answers[index] = answer }
            open.removeFirst(found.count)
            // Its thread ends when the kernel lets it go.
            if !open.isEmpty { self.helper = nil }
        }
    }
}

/// A thread that asks, one round of questions after the other, until it is told to end or a round has been abandoned.
private final class Helper: Sendable {
    /// Rung when there is a round to ask, or the end; and when a round is over.
    private let work: Bell
    let answers: Bell
    /// Answers whether somebody still wants the answers.
    private let round = Mutex<(@Sendable () -> Bool)?>(nil)

    /// `nil` when there can be no thread.
    init?() {
        guard let work = Bell(), let answers = Bell() else { return nil }
        self.work = work
        self.answers = answers
        guard detachThread({ self.run() }) else { return nil }
    }

    func give(_ round: @escaping @Sendable () -> Bool) {
        self.round.withLock { $0 = round }
        work.ring()
    }

    func end() { work.ring() }

    private func run() {
        while true {
            work.hear()
            let round = round.withLock { held in
                defer { held = nil }
                return held
            }
            guard let round, round() else { return }
        }
    }
}

/// An eventfd(2).
private final class Bell: Sendable {
    private let descriptor: Int32

    init?() {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC))
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    func ring() { eventfd_write(descriptor, 1) }

    /// Waits until it is rung.
    func hear() {
        var count: UInt64 = 0
        while eventfd_read(descriptor, &count) != 0, errno == EINTR {}
    }

    /// Waits in milliseconds; answers whether it was rung.
    func hear(for patience: Int32) -> Bool {
        while true {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let count = poll(&ready, 1, patience)
            if count < 0, errno == EINTR { continue }
            if count > 0 { hear() }
            return count > 0
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

/// The questions that are asked one after the other.
private final class Round<Answer: Sendable>: @unchecked Sendable {
    private struct Progress {
        var answers: [Answer] = []
        var isAbandoned = false
    }

    // None of these changes.
    private let questions: [FolderQuestions.Question<Answer>]
    private let silent: Silent
    private let bell: Bell
    private let progress = Mutex(Progress())

    init(_ questions: [FolderQuestions.Question<Answer>], silent: Silent, bell: Bell) {
        self.questions = questions
        self.silent = silent
        self.bell = bell
    }

    /// Answers whether anybody has waited for all of it.
    func run() -> Bool {
        for question in questions {
            let answer = question.read()
            let isAbandoned = progress.withLock { progress in
                if !progress.isAbandoned { progress.answers.append(answer) }
                return progress.isAbandoned
            }
            if isAbandoned {
                silent.remove(question.folder)
                return false
            }
        }
        bell.ring()
        return true
    }

    /// What was answered before one took too long, which is then known as silent.
    func wait(_ patience: Int32) -> [Answer] {
        var seen = 0
        while true {
            let isRung = bell.hear(for: patience)
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
