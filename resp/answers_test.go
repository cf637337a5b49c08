package resp

import (
	"log/slog"
	"strings"
	"testing"
)

func TestServerCutsOffWhoeverLeavesMostUnread(t *testing.T) {
	var log logBuffer
	s, _ := start(t, Options{
		Limits: Limits{AnswersBytes: 80 << 20},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	small, large, quick := dial(t, s), dial(t, s), dial(t, s)
	small.send("BULK 33554432")
	eventually(t, "the small answer is held", func() bool { return s.Stats().AnswersBytes >= 32<<20 })
	large.send("BULK 67108864")
	eventually(t, "one client is cut off", func() bool {
		now := s.Stats()
		return now.CutOff == 1 && now.Connected == 2
	})
	if got := log.String(); !strings.Contains(got, "peer="+large.LocalAddr().String()) {
		t.Errorf("the wrong one was cut off: %s", got)
	}
	quick.send("BULK 100000")
	quick.want("$100000\r\n" + strings.Repeat("\x00", 100_000) + "\r\n")
	if held := s.Stats().AnswersBytes; held < 32<<20 || held > 80<<20 {
		t.Errorf("%d bytes are held while one answer of 32 MiB is", held)
	}
	small.want("$33554432\r\n" + strings.Repeat("\x00", 32<<20) + "\r\n")
	eventually(t, "nothing is held", func() bool { return s.Stats().AnswersBytes == 0 })
}
