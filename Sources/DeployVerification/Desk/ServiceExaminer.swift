// What the agent's eyes see beside deploys.

public import AgentAPI
public import Platform

/// An inspector that knows of processes from their beginning, and describes a service.
public protocol ServiceExaminer: ServiceInspector {
    /// A main process has just begun, or has just been seen to run something else than before: what TOKEN its release has now is
    /// remembered. - Parameter before: when it was last seen to run what it ran before; `nil`: never, or it has begun anew.
    func notice(_ pid: Int32, before: Timestamp?)

    /// Looks once, at everything of a service that may matter to its deploys.
    func examine(_ service: InspectedService) -> ServiceFacts
}
