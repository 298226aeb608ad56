// When a rule with a time window is judged.

import Platform
import RuleLanguage

/// Whether a rule with this window is judged at an instant, by the host's local time.
func judgingHours(_ window: Window) -> @Sendable (Timestamp) -> Bool {
    { window.isOpen(at: CalendarTime($0)) }
}
