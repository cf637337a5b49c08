package server

import (
	"context"
	"time"

	"github.com/primatomic/primatomic/command"
)

// loneMembership refuses what cannot be done with a node that runs alone.
type loneMembership struct{}

var (
	errLone = &command.Error{Code: command.Precondition, Text: "this node runs alone and opens no port for other " +
		"nodes: start it with --peer-addr to let others join it, or found a cluster with --cluster"}
	errLastVoter = &command.Error{Code: command.Precondition,
		Text: "this node runs alone: there is no other voter that could lead"}
	errLoneReads = &command.Error{Code: command.Precondition,
		Text: "this node runs alone: it serves reads from its memory, and has nobody to ask"}
)

func (loneMembership) Add(context.Context, string) *command.Error             { return errLone }
func (loneMembership) Promote(context.Context, string) *command.Error         { return errLone }
func (loneMembership) Remove(context.Context, string, bool) *command.Error    { return errLone }
func (loneMembership) Transfer(context.Context, string) *command.Error        { return errLastVoter }
func (loneMembership) Replace(context.Context, string, string) *command.Error { return errLone }
func (loneMembership) SetReads(context.Context, time.Duration) *command.Error { return errLoneReads }
