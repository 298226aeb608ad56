// What nobody is told of, and why.

import AgentAPI
import Platform

/// All silences of a host, in sentences.
func silenceList(_ silences: [Silence], of host: String, at now: Timestamp) -> HTML {
    ul(.class("card lines silences")) {
        for silence in silences {
            li {
                Badge(silence.kind).html
                div {
                    div(.class("what")) {
                        strong { silence.subject ?? "All of \(host)" }
                        switch silence.kind {
                        case .deploy:
                            " is being deployed by \(silence.owner)\(reason(of: silence)). Nobody is told, and nothing acts, until it is finished"
                        case .unmonitored: " is not watched, as \(silence.owner) asked\(reason(of: silence)). Nobody is told, and nothing acts, until"
                        }
                        if let until = silence.until {
                            silence.kind == .deploy ? ", at the latest at " : " "
                            clock(until)
                        } else if silence.kind == .unmonitored {
                            " somebody says so"
                        }
                        "."
                    }
                    moment(silence.since, now: now)
                }
            }
        }
    }
}

private func reason(of silence: Silence) -> String { silence.reason.map { " (\($0))" } ?? "" }

/// What covers a unit, for its row in a table: `deploying since 3 min ago, by ada, until 03:05:00`.
func silenceLine(_ silence: Silence, at now: Timestamp) -> HTML {
    span(.class("under")) {
        silence.kind == .deploy ? "deploying since " : "not watched since "
        shortMoment(silence.since, now: now)
        silence.kind == .deploy ? ", by \(silence.owner)" : ", as \(silence.owner) asked"
        if let until = silence.until {
            ", until "
            clock(until)
        }
    }
}

extension Badge {
    init(_ kind: Silence.Kind) {
        switch kind {
        case .deploy: self.init(word: "Deploying", icon: .changing, tone: "neutral")
        case .unmonitored: self.init(word: "Not watched", icon: .unknown, tone: "warning")
        }
    }
}
