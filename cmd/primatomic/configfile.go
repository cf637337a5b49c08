package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// loadConfig reads a configuration file: TOML, one key per flag of serve and of the flag's name.
func loadConfig(r io.Reader) (kong.Resolver, error) {
	f := configFile{name: "configuration file"}
	if file, ok := r.(*os.File); ok {
		f.name += " " + file.Name()
	}
	err := toml.NewDecoder(r).Decode(&f.settings)
	var misread *toml.DecodeError
	if errors.As(err, &misread) {
		line, column := misread.Position()
		return nil, fmt.Errorf("%s: line %d, column %d: %w", f.name, line, column, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return f, nil
}

// configFile is what a configuration file says.
type configFile struct {
	name     string
	settings map[string]any
}

// notInFile are flags of serve that a file cannot set.
var notInFile = []string{"help", "config"}

// Validate refuses keys that are no flag of serve: a misspelt limit would otherwise be one that does not hold.
func (f configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, command := range app.Children {
		if command.Name == "serve" {
			for _, flag := range command.Flags {
				known[flag.Name] = !slices.Contains(notInFile, flag.Name)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.settings)) {
		if _, table := f.settings[key].(map[string]any); table {
			return fmt.Errorf("%s: settings stand in no table, remove [%s]", f.name, key)
		}
		if !known[key] {
			return fmt.Errorf("%s: no setting is named %q, see primatomic serve --help", f.name, key)
		}
	}
	return nil
}

// Resolve returns the value of a flag as it would be written on the command line, nil if the file does not have it
// or the environment wins over it.
func (f configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	switch value := f.settings[flag.Name].(type) {
	case nil:
		return nil, nil
	case []any:
		if !flag.IsSlice() {
			return nil, fmt.Errorf("%s: one value is wanted, not a list", f.name)
		}
		words := make([]string, len(value))
		for i := range value {
			words[i] = fmt.Sprint(value[i])
		}
		return kong.JoinEscaped(words, flag.Tag.Sep), nil
	case string:
		if flag.IsSlice() { // one value, whatever it contains
			return kong.JoinEscaped([]string{value}, flag.Tag.Sep), nil
		}
		return value, nil
	default:
		return fmt.Sprint(value), nil
	}
}
