// Package server is the composition root: it knows every part of a node, puts them together, and takes
// them apart again in the reverse order.
//
// The nouns:
//
//   - Config: the one table of settings. Flags, environment variables, the configuration file and their
//     documentation are all derived from its fields and tags.
//   - Server: a running node. Start builds it from a Config, Stop drains it.
//   - host: what commands of class Conn see of the node (command.Host and command.Node).
package server
