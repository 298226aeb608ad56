// When a rule with a time window is judged.

import Glibc
import Platform
import RuleLanguage

/// Whether a rule with this window is judged at an instant, by the host's local time.
func judgingHours(_ window: Window) -> @Sendable (Timestamp) -> Bool {
    switch window {
    case .during(let hours): { hours.contains(LocalMinute($0)) }
    case .except(let hours): { !hours.contains(LocalMinute($0)) }
    }
}

/// A minute of the host's local week.
struct LocalMinute {
    /// 0 is Sunday.
    var day: Int
    /// After midnight.
    var minute: Int

    init(_ instant: Timestamp) {
        var seconds = time_t(instant.seconds)
        var local = tm()
        localtime_r(&seconds, &local)
        day = Int(local.tm_wday)
        minute = Int(local.tm_hour) * 60 + Int(local.tm_min)
    }
}

extension TimeWindow {
    func contains(_ now: LocalMinute) -> Bool {
        stretches.contains { stretch in
            if stretch.from < stretch.to { return stretch.days.contains(now.day) && stretch.from <= now.minute && now.minute < stretch.to }
            // It began today, or yesterday.
            return stretch.days.contains(now.day) && stretch.from <= now.minute
                || stretch.days.contains((now.day + 6) % 7) && now.minute < stretch.to
        }
    }
}
