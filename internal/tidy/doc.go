// Package tidy is a test of the project's own rules; it has no other code.
//
//   - imports: who may import whom (the table mayImport), names no package may have, upstream raft's name.
//   - sizes: of files, functions and lines.
//   - calls: what code that must be deterministic, or run under a virtual clock and disk, may not use.
//
// What breaks a rule today is listed in exceptions, with its measure and a reason. The list may only shrink:
// an entry that is larger than what is found, or no longer needed, fails the test as well.
package tidy
