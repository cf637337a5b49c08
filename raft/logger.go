package raft

import (
	"context"
	"fmt"
	"log/slog"
)

// libraryLogger gives the library's log lines to slog. The library reports each role change
// and each refused proposal at its info level, so that level becomes debug here.
type libraryLogger struct{ log *slog.Logger }

func (l libraryLogger) print(level slog.Level, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprint(v...))
	}
}

func (l libraryLogger) printf(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, v...))
	}
}

func (l libraryLogger) Debug(v ...any)                   { l.print(slog.LevelDebug, v) }
func (l libraryLogger) Debugf(format string, v ...any)   { l.printf(slog.LevelDebug, format, v) }
func (l libraryLogger) Info(v ...any)                    { l.print(slog.LevelDebug, v) }
func (l libraryLogger) Infof(format string, v ...any)    { l.printf(slog.LevelDebug, format, v) }
func (l libraryLogger) Warning(v ...any)                 { l.print(slog.LevelWarn, v) }
func (l libraryLogger) Warningf(format string, v ...any) { l.printf(slog.LevelWarn, format, v) }
func (l libraryLogger) Error(v ...any)                   { l.print(slog.LevelError, v) }
func (l libraryLogger) Errorf(format string, v ...any)   { l.printf(slog.LevelError, format, v) }

// The library calls Fatal and Panic on broken invariants and relies on their not returning.
func (l libraryLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l libraryLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l libraryLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l libraryLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
