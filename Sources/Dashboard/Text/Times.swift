// Times as people read them: in UTC, and how long ago.

import Platform

/// `2026-11-21 03:00:12 UTC`.
func clockText(_ at: Timestamp) -> String {
    let text = at.text(fraction: false)
    return "\(text.prefix(10)) \(text.dropFirst(11).prefix(8)) UTC"
}

/// `just now`, `40 s ago`, `12 min ago`, `3 h ago`, `5 days ago`. The script counts on with the same words.
func agoText(_ at: Timestamp, now: Timestamp) -> String {
    let seconds = (now - at).microseconds / 1_000_000
    if seconds < 5 { return "just now" }
    if seconds < 60 { return "\(seconds) s ago" }
    if seconds < 3600 { return "\(seconds / 60) min ago" }
    if seconds < 48 * 3600 { return "\(seconds / 3600) h ago" }
    return "\(seconds / 86400) days ago"
}

/// How long ago, and the time itself.
func moment(_ at: Timestamp, now: Timestamp) -> HTML {
    span(.class("moment")) {
        span(.class("ago"), Attribute("data-at", String(at.seconds))) { agoText(at, now: now) }
        " "
        timeTag(Attribute("datetime", at.text(fraction: false))) { clockText(at) }
    }
}

/// The distance alone where there is little room; the time is its tooltip.
func shortMoment(_ at: Timestamp, now: Timestamp) -> HTML {
    timeTag(
        .class("ago"), Attribute("datetime", at.text(fraction: false)), Attribute("data-at", String(at.seconds)),
        Attribute("title", clockText(at))
    ) { agoText(at, now: now) }
}

/// The time itself, also one that is to come.
func clock(_ at: Timestamp) -> HTML { timeTag(Attribute("datetime", at.text(fraction: false))) { clockText(at) } }
