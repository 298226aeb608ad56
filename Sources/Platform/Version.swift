/// The version of every program of Rollcall; they are built and released together.
public let rollcallVersion = "0.1.0"
