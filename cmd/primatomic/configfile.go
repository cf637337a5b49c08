package main

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// loadConfig reads a configuration file: TOML, one key per flag and of the flag's name. A key that no
// flag has is refused, because a misspelt limit would otherwise be a limit that does not hold.
func loadConfig(r io.Reader) (kong.Resolver, error) {
	settings := map[string]any{}
	if err := toml.NewDecoder(r).Decode(&settings); err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	return configFile(settings), nil
}

type configFile map[string]any

// Validate refuses keys that are no flag of the command that reads the file.
func (f configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, command := range app.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			known[flag.Name] = true
		}
	}
	for key := range f {
		if !known[key] {
			return fmt.Errorf("configuration file: no setting is named %q, see primatomic serve --help", key)
		}
	}
	return nil
}

// Resolve returns the value of a flag, or nil.
func (f configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	switch value := f[flag.Name].(type) {
	case nil:
		return nil, nil
	case []any: // kong takes lists in one string
		return value, nil
	case string, bool:
		return value, nil
	default:
		return fmt.Sprint(value), nil
	}
}
