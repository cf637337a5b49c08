package server

// version is set by the linker (see the Makefile).
var version = "dev"

// Version returns the version of this binary.
func Version() string { return version }
