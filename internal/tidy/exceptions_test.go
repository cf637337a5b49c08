package tidy

// An exception is a finding that is known and not yet mended.
type exception struct {
	Rule, Where string
	Measure     int // as found: a smaller or larger one fails
	Reason      string
}

// exceptions may only shrink.
var exceptions = []exception{
	{"import", "cmd/primatomic -> proto/primatomic/v1", 1, "dials gRPC itself until client/ is there"},
	{"banned math/rand/v2", "command/keys.go", 1, "RANDOMKEY: a read, never in the log; its seed belongs in the call"},
}
