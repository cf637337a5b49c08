package main

type checkCommand struct {
	DataDir string `default:"data" type:"existingdir" help:"Data directory of a node that is not running."`
}

// Run checks.
func (c *checkCommand) Run() error { return nil }
