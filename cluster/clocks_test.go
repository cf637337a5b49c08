package cluster

import (
	"testing"
	"time"
)

func TestCorrection(t *testing.T) {
	const hour = time.Hour
	tests := []struct {
		name     string
		ahead    []time.Duration
		logAhead time.Duration
		want     time.Duration
	}{
		{"alone", []time.Duration{0}, 0, 0},
		{"alone, and log time is of last week", []time.Duration{0}, -7 * 24 * hour, 0},
		{"all agree", []time.Duration{0, time.Second, -9 * time.Second}, 0, 0},
		{"own clock is an hour behind", []time.Duration{0, hour, hour + time.Second}, hour, hour},
		{"own clock is an hour ahead", []time.Duration{0, -hour, -hour - time.Second}, -hour, -hour},
		{"so has log time been", []time.Duration{0, -hour, -hour - time.Second}, 0, -hour},
		{"another's clock is wrong", []time.Duration{0, hour, time.Second}, 0, 0},
		{"own clock lies between", []time.Duration{0, hour, -hour}, hour, 0},
		{"another's word against the own and the log's", []time.Duration{0, hour}, time.Second, 0},
		{"another's word and the log's against the own", []time.Duration{0, hour}, hour - time.Second, hour},
		{"the same, behind", []time.Duration{0, -hour}, -hour, -hour},
		{"two that agree after a week", []time.Duration{0, time.Second}, -7 * 24 * hour, 0},
		{"two against two", []time.Duration{0, time.Second, hour, hour}, 0, 0},
		{"two against two, and the log", []time.Duration{0, time.Second, hour, hour}, hour, hour},
		{"three against two", []time.Duration{0, 0, hour, hour, hour}, 0, hour},
		{"just within", []time.Duration{0, clockTrust, clockTrust}, 0, 0},
		{"just beyond", []time.Duration{0, clockTrust + 1, clockTrust + 1}, 0, clockTrust + 1},
	}
	for _, tt := range tests {
		if got := correction(tt.ahead, tt.logAhead); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
