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
	KV        kvCommand        `cmd:"" name:"kv" help:"Read and write keys of a running node over gRPC."`
	Namespace namespaceCommand `cmd:"" help:"Manage namespaces of a running node over gRPC."`
	Token     tokenCommand     `cmd:"" help:"Make tokens."`
	Check     checkCommand     `cmd:"" help:"Verify a data directory offline and say what is in it."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

func main() {
	parser, err := kong.New(new(commands),
		kong.Name("primatomic"),
		kong.Description("A key/value store that any Redis client can talk to and that never loses or "+
			"contradicts an acknowledged write."),
		kong.DefaultEnvars("PRIMATOMIC"),
		kong.Configuration(loadConfig),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
	)
	if err != nil {
		panic(err) // the grammar above contradicts itself
	}
	ctx, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "primatomic:", err)
		var code exitCode
		if errors.As(err, &code) {
			os.Exit(int(code))
		}
		os.Exit(1)
	}
}

// exitCode is an error that chooses the process' exit status.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }
