package command

import "fmt"

// Registry holds every row, by name. It is built once and never changes.
type Registry struct {
	rows   []*Spec // in order of declaration
	byName map[string]*Spec
	count  int // rows, with subcommands
}

// NewRegistry builds the registry of all commands. It panics on a row that contradicts itself or
// another: that is a mistake in this package's source.
func NewRegistry() *Registry {
	g := &Registry{byName: map[string]*Spec{}}
	for _, family := range [][]*Spec{
		connectionCommands(), serverCommands(), namespaceCommands(), transactionCommands(),
		replicationCommands(), {clusterContainer(), sentinelContainer()}, subscribeCommands(),
		keyCommands(), expiryCommands(),
		stringCommands(), rangeCommands(), counterCommands(), canonicalCommands(),
	} {
		for _, spec := range family {
			g.add(spec)
		}
	}
	return g
}

func (g *Registry) add(spec *Spec) {
	if _, taken := g.byName[spec.Name]; taken {
		panic(fmt.Sprintf("command: two rows are named %q", spec.Name))
	}
	for _, sub := range spec.Sub {
		sub.parent = spec
		sub.derive()
		sub.ordinal = g.nextOrdinal()
	}
	spec.derive()
	if err := spec.check(); err != nil {
		panic(err)
	}
	spec.ordinal = g.nextOrdinal()
	g.rows = append(g.rows, spec)
	g.byName[spec.Name] = spec
}

func (g *Registry) nextOrdinal() int {
	g.count++
	return g.count
}

// Ordinals returns the bound below which all ordinals of the registry are.
func (g *Registry) Ordinals() int { return g.count + 1 }

// nameMax bounds the names that can be found: longer ones are unknown without a look.
const nameMax = 32

// Lookup finds the row for a name in any case, without allocating. For a container it returns the
// container's row, whose own Lookup goes on to the subcommand.
func (g *Registry) Lookup(name []byte) *Spec {
	if len(name) > nameMax {
		return nil
	}
	var folded [nameMax]byte
	for i, b := range name {
		folded[i] = lower(b)
	}
	return g.byName[string(folded[:len(name)])]
}

// Rows returns all rows in order of declaration.
func (g *Registry) Rows() []*Spec { return g.rows }
