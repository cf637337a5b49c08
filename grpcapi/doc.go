// Package grpcapi is the gRPC door: the canonical API of proto/primatomic/v1, health checks and
// reflection. A call becomes commands of package command and goes through the same executor as those
// of Redis clients, so both doors mean the same by the same words.
//
// The nouns:
//
//   - Server: the listener's life: start, health, stop.
//   - gate: what a call passes before its message is read: the token, and the net under panics.
//   - service: the calls themselves, a few lines each.
//   - verdict: what a code of package command is called over gRPC.
//
// # Caveats
//
// Health and reflection need no token: probes have none, and the API is public.
//
// A bare UNAVAILABLE is made by client libraries when a connection breaks, and says nothing about the
// outcome. Ours carries ErrorInfo with the reason NOT_APPLIED and is a promise.
//
// A namespace is looked up once and remembered: ids are never used again, so a remembered one that was
// dropped is noticed by the answer, and looked up anew.
package grpcapi
