package cluster

import (
	"testing"
	"time"
)

func TestCorrection(t *testing.T) {
	const hour = time.Hour
	tests := []struct {
		name   string
		ahead  []time.Duration
		voters int
		want   time.Duration
	}{
		{"alone", []time.Duration{0}, 1, 0},
		{"all agree", []time.Duration{0, time.Second, -9 * time.Second}, 3, 0},
		{"own clock is an hour behind", []time.Duration{0, hour, hour + time.Second}, 3, hour},
		{"own clock is an hour ahead", []time.Duration{0, -hour, -hour - time.Second}, 3, -hour},
		{"another's clock is wrong", []time.Duration{0, hour, time.Second}, 3, 0},
		{"own clock lies between", []time.Duration{0, hour, -hour}, 3, 0},
		{"one word against another", []time.Duration{0, hour}, 3, 0},
		{"no majority is known", []time.Duration{0, hour}, 5, 0},
		{"two against two", []time.Duration{0, time.Second, hour, hour}, 5, 0},
		{"three against two", []time.Duration{0, 0, hour, hour, hour}, 5, hour},
		{"just within", []time.Duration{0, clockTrust, clockTrust}, 3, 0},
		{"just beyond", []time.Duration{0, clockTrust + 1, clockTrust + 1}, 3, clockTrust + 1},
	}
	for _, tt := range tests {
		if got := correction(tt.ahead, tt.voters); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
