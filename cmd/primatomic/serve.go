package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/primatomic/primatomic/server"
)

type serveCommand struct {
	server.Config `embed:""`

	File kong.ConfigFlag `name:"config" placeholder:"FILE" help:"TOML file with settings, one key per flag and of the flag's name. Flags and environment variables win over it."`
}

// Run runs a node until a signal ends it: the first SIGTERM or interrupt drains it, a second one ends
// it at once.
func (c *serveCommand) Run() error {
	logger := newLogger(c.Log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s, err := server.Start(ctx, server.Options{
		Config: c.Config,
		Logger: logger,
		Fatal: func(err error) {
			logger.Error("cannot go on", "error", err)
			os.Exit(2) // at once: nothing may be said that the disk does not hold
		},
	})
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		logger.Info("stopped before it was ready")
		return nil
	}
	if err != nil {
		return err
	}
	s.Announce(os.Stdout)
	var removed error
	select {
	case <-ctx.Done():
		logger.Info("stopping: finishing what runs")
	case removed = <-s.Ended():
		logger.Error("stopping", "error", removed)
	}
	stop() // the next signal ends the process at once
	return errors.Join(removed, s.Stop(context.Background()))
}

func newLogger(c server.LogConfig) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		panic(err) // the flag's enum allows no other
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
