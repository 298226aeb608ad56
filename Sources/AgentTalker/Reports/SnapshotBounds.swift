// What a report may carry of a snapshot.

import AgentAPI
import AgentCore

extension Snapshot {
    /// Without what would make an aggregator refuse the report: too long, too many, not a number.
    /// - Parameter samples: false leaves all samples out. Samples may be thinned under pressure; what is up and down is always said.
    func bounded(samples isWithSamples: Bool) -> Snapshot {
        var snapshot = self
        snapshot.samples = isWithSamples ? samples.bounded() : []
        snapshot.units = units.prefix(ReportLimits.units).map { unit in
            var unit = unit
            unit.name = unit.name.clipped(to: ReportLimits.text)
            unit.initSystem = unit.initSystem.clipped(to: ReportLimits.text)
            unit.detail = unit.detail.clipped(to: ReportLimits.text)
            unit.failingRules = unit.failingRules.prefix(1000).map { $0.clipped(to: ReportLimits.text) }
            unit.samples = isWithSamples ? unit.samples.bounded() : []
            return unit
        }
        snapshot.silences = silences.prefix(ReportLimits.silences).map { silence in
            var silence = silence
            silence.subject = silence.subject?.clipped(to: ReportLimits.text)
            silence.units = silence.units.prefix(ReportLimits.units).map { $0.clipped(to: ReportLimits.text) }
            silence.owner = silence.owner.clipped(to: ReportLimits.text)
            silence.reason = silence.reason?.clipped(to: ReportLimits.text)
            return silence
        }
        snapshot.jobs = jobs.prefix(ReportLimits.jobs).map { job in
            var job = job
            job.name = job.name.clipped(to: ReportLimits.text)
            job.schedule = job.schedule.clipped(to: ReportLimits.text)
            job.detail = job.detail.clipped(to: ReportLimits.text)
            return job
        }
        return snapshot
    }
}

extension [Sample] {
    fileprivate func bounded() -> [Sample] {
        Array(lazy.filter { $0.value.isFinite && $0.metric.utf8.count <= 200 }.prefix(ReportLimits.samplesPerUnit))
    }
}
