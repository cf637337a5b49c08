// Command primatomic is the whole product in one binary: the server and the tools around it. A file per
// subcommand.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

type commands struct {
	Serve     serveCommand     `cmd:"" help:"Run a node."`
	Dev       devCommand       `cmd:"" help:"Run a cluster on this machine, to try things out."`
	KV        kvCommand        `cmd:"" name:"kv" help:"Read and write keys of a running node over gRPC."`
	Namespace namespaceCommand `cmd:"" help:"Manage namespaces of a running node over gRPC."`
	Cluster   clusterCommand   `cmd:"" help:"Show and change the members of a cluster, by way of any of its nodes." set:"timeout=1m"`
	Token     tokenCommand     `cmd:"" help:"Make tokens."`
	Check     checkCommand     `cmd:"" help:"Verify a data directory offline and say what is in it."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser := newParser(new(commands))
	ctx, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "primatomic:", err)
		status := exit{status: 1}
		errors.As(err, &status)
		os.Exit(status.status)
	}
}

// newParser makes the parser of a command line, the environment and the configuration file.
func newParser(c *commands) *kong.Kong {
	return kong.Must(c,
		kong.Name("primatomic"),
		kong.Description("A key/value store that any Redis client can talk to and that never loses or "+
			"contradicts an acknowledged write."),
		kong.DefaultEnvars("PRIMATOMIC"),
		kong.Configuration(loadConfig),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ShortUsageOnError(),
	)
}

// exit is an error that chooses the process' exit status.
type exit struct {
	status int
	error
}

func (e exit) Unwrap() error { return e.error }
