// What is said to an agent before a deploy, and what it answers.

/// Asks an agent to remember how a service is before its deploy: the baseline against which it will be judged. One deploy of a service is
/// under way at a time.
public struct DeployPreparation: Equatable, Sendable {
    /// Chosen by whoever prepares, the same on all hosts: `d-` and lower-case hex digits.
    public var id: String
    /// A unit's or a check's name, as the agent watches it.
    public var service: String
    public var token: String
    /// The folder of the new release on this host, absolute; `nil` for what has no releases, or where the host is not known to have one.
    public var release: String?
    /// The new release is put where the old one is.
    public var isInPlace: Bool
    /// How the workers are asked which token they carry; `nil`: as the agent's own configuration says, or not at all.
    public var question: TokenQuestion?
    /// Names under which the application is asked from outside, for workers that refuse the `Host` of the question; the likeliest first.
    public var hosts: [String]
    /// Requests at a steady rate from now to the verdict; `nil`: none.
    public var availability: AvailabilityOrder?
    /// Ends another deploy of the service that is under way.
    public var takesOver: Bool
    /// Nobody is alerted of the service until the deploy is ended, or the agent's longest deploy is over.
    public var opensWindow: Bool
    public var person: String?
    /// Of the code: a commit, a version.
    public var revision: String?

    public init(
        id: String, service: String, token: String, release: String? = nil, isInPlace: Bool = false, question: TokenQuestion? = nil,
        hosts: [String] = [], availability: AvailabilityOrder? = nil, takesOver: Bool = false, opensWindow: Bool = false, person: String? = nil,
        revision: String? = nil
    ) {
        self.id = id
        self.service = service
        self.token = token
        self.release = release
        self.isInPlace = isInPlace
        self.question = question
        self.hosts = hosts
        self.availability = availability
        self.takesOver = takesOver
        self.opensWindow = opensWindow
        self.person = person
        self.revision = revision
    }
}

/// An availability probe: fresh connections to the service's listeners, at a steady rate, whatever the answers take.
public struct AvailabilityOrder: Equatable, Sendable {
    /// Begins with `/`.
    public var path: String
    /// Requests a second, 1 to 50.
    public var rate: Double

    public init(path: String = "/", rate: Double = 20) {
        self.path = path
        self.rate = rate
    }
}

/// The baseline was taken.
public struct DeployPrepared: Equatable, Sendable {
    public var id: String
    public var service: String
    public var host: String
    /// Workers in the baseline.
    public var workers: Int
    /// What is odd and may spoil the deploy, for a person: a worker stands in a folder that is gone, nobody listens, ...
    public var warnings: [String]
    /// Whether a worker answered a token when the baseline was taken; `nil` where that is not known.
    public var isAsked: Bool?

    public init(id: String, service: String, host: String, workers: Int, warnings: [String] = [], isAsked: Bool? = nil) {
        self.id = id
        self.service = service
        self.host = host
        self.workers = workers
        self.warnings = warnings
        self.isAsked = isAsked
    }
}
