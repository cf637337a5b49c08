package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// serveLine parses a command line of serve with a resolver beside it.
func serveLine(resolver kong.Resolver, args ...string) (*commands, error) {
	c := new(commands)
	parser := newParser(c)
	if resolver != nil {
		if err := kong.Resolvers(resolver).Apply(parser); err != nil {
			return nil, err
		}
	}
	_, err := parser.Parse(append([]string{"serve"}, args...))
	return c, err
}

// FuzzConfigFile: a configuration file is refused, or it sets what its keys would set as flags, and nothing else.
func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{
		"max-connections = 3\n", "data-dir = \"d\"\nresp-addr = \"127.0.0.1:1\"\n", "join = [\"a:1\", \"b:2\"]\n",
		"insecure = true\n", "max-memory = \"1GiB\"\ncall-timeout = \"2s\"\n", "[table]\nx = 1\n",
		"max-connections = [1]\n", "config = \"x\"\n", "name = \"a,b\"\n", "join = \"a,b\"\n", "call-timeout = 1e400\n",
		"x = ",
		"max-memory = 07:32:00\n", "insecure = 1979-05-27\n", "cluster = [[1], {a = 2}]\n", "max-connections = 0x10\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		resolver, err := loadConfig(strings.NewReader(text))
		if err != nil {
			return
		}
		fromFile, fileErr := serveLine(resolver)
		var args []string
		file := resolver.(configFile)
		if err := file.Validate(newParser(new(commands)).Model); err != nil {
			if fileErr == nil {
				t.Fatalf("taken, though %v", err)
			}
			return
		}
		for _, command := range newParser(new(commands)).Model.Children {
			for _, flag := range command.Flags {
				if command.Name != "serve" {
					continue
				}
				value, err := file.Resolve(nil, nil, flag)
				if err != nil {
					return
				}
				if word, set := value.(string); set {
					args = append(args, "--"+flag.Name+"="+word)
				}
			}
		}
		fromFlags, flagsErr := serveLine(nil, args...)
		if (fileErr == nil) != (flagsErr == nil) {
			t.Fatalf("the file: %v; the flags %q: %v", fileErr, args, flagsErr)
		}
		if fileErr == nil && !reflect.DeepEqual(fromFile.Serve, fromFlags.Serve) {
			t.Fatalf("the file makes %+v, the flags %q %+v", fromFile.Serve, args, fromFlags.Serve)
		}
		if fileErr == nil {
			_ = fromFile.Serve.Validate()
		}
	})
}
