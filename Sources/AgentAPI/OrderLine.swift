// The line of orders: what an aggregator cannot let wait for the next report, and what agents answer there.
//
// An agent always has one question open, `POST /v1/orders`, which is answered as soon as there is something to do, and after a while in
// any case. What becomes of an order goes to `POST /v1/orders/answers`, as often as it changes.

public import Platform

/// Bounds of the line of orders.
public enum OrderLine {
    /// How long an aggregator holds the question of an agent at most.
    public static let patience = Duration.seconds(25)
    /// How long nothing new is said of an order under way at most.
    public static let signOfLife = Duration.seconds(4)
    /// Orders that one agent carries out at once.
    public static let orders = 32
    /// Bytes of one message, unpacked.
    public static let bytes = 4 << 20
    public static let callPath = "/v1/orders"
    public static let answersPath = "/v1/orders/answers"
}

/// An agent asks for orders.
public struct OrderCall: Equatable, Sendable {
    /// The orders that it is carrying out. What it was given and is not among them, it has never got or has lost, and gets again.
    public var underWay: [String]

    public init(underWay: [String] = []) { self.underWay = underWay }
}

/// What an agent shall do.
public struct OrderHandout: Equatable, Sendable {
    public var orders: [AgentOrder]
    /// Orders under way whose answer nobody wants any more.
    public var over: [String]
    public var isEmpty: Bool { orders.isEmpty && over.isEmpty }

    public init(orders: [AgentOrder] = [], over: [String] = []) {
        self.orders = orders
        self.over = over
    }
}

/// What has become of an order so far.
public struct OrderAnswer: Equatable, Sendable {
    public var id: String
    /// Nothing that comes later changes it.
    public var isFinal: Bool
    public var answer: AgentAnswer

    public init(id: String, isFinal: Bool, answer: AgentAnswer) {
        self.id = id
        self.isFinal = isFinal
        self.answer = answer
    }
}

extension OrderCall {
    public var json: JSON { ["under_way": .array(underWay.map(JSON.string))] }

    public init(_ json: JSON) throws(ReportError) {
        underWay = try ReportReader(json: json, part: "call").ids("under_way")
    }
}

extension OrderHandout {
    public var json: JSON { ["orders": .array(orders.map(\.json)), "over": .array(over.map(JSON.string))] }

    public init(_ json: JSON) throws(ReportError) {
        let reader = ReportReader(json: json, part: "handout")
        orders = []
        for (index, item) in try reader.array("orders", limit: OrderLine.orders).enumerated() {
            orders.append(try AgentOrder(item, part: "handout.orders[\(index)]"))
        }
        over = try reader.ids("over")
    }
}

extension OrderAnswer {
    public var json: JSON {
        guard case .object(let members) = answer.message else { return .null }
        return .object([.init("id", .string(id)), .init("final", .bool(isFinal))] + members)
    }

    public init(_ json: JSON, part: String = "answer") throws(ReportError) {
        id = try ReportReader(json: json, part: part).id("id")
        guard let isFinal = json["final"]?.bool else { throw ReportError(part: "\(part).final", problem: "is neither true nor false") }
        self.isFinal = isFinal
        do throws(RequestError) { answer = try AgentAnswer(message: json) } catch { throw ReportError(part: part, problem: error.problem) }
    }
}

/// What an agent says of its orders.
public struct OrderAnswers: Equatable, Sendable {
    public var answers: [OrderAnswer]

    public init(answers: [OrderAnswer]) { self.answers = answers }

    public var json: JSON { ["answers": .array(answers.map(\.json))] }

    public init(_ json: JSON) throws(ReportError) {
        answers = []
        for (index, item) in try ReportReader(json: json, part: "message").array("answers", limit: OrderLine.orders).enumerated() {
            answers.append(try OrderAnswer(item, part: "message.answers[\(index)]"))
        }
    }
}

extension ReportReader {
    fileprivate func ids(_ name: String) throws(ReportError) -> [String] {
        var ids: [String] = []
        for item in try array(name, limit: OrderLine.orders) {
            ids.append(try ReportReader(json: ["id": item], part: "\(part).\(name)").id("id"))
        }
        return ids
    }
}

extension HostDeploy {
    /// Whether nothing has happened between the two but time: the same state and the same processes.
    public func isInTheStateOf(_ other: HostDeploy) -> Bool {
        state == other.state && isFinal == other.isFinal && processes.count == other.processes.count
            && zip(processes, other.processes).allSatisfy { $0.pid == $1.pid && $0.class == $1.class && $0.role == $1.role }
    }
}
