package server

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func TestBytes(t *testing.T) {
	tests := []struct {
		text string
		want Bytes
		ok   bool
	}{
		{"0", 0, true}, {"1073741824", 1 << 30, true}, {"12b", 12, true},
		{"512MiB", 512 << 20, true}, {"512mib", 512 << 20, true}, {"512 MiB", 512 << 20, true},
		{" 16kb ", 16 << 10, true}, {"16KB", 16 << 10, true}, {"16k", 16 << 10, true},
		{"3g", 3 << 30, true}, {"2TiB", 2 << 40, true},
		{"9223372036854775807", math.MaxInt64, true}, {"8388607TiB", 8388607 << 40, true},
		{"9223372036854775808", 0, false}, {"8388608TiB", 0, false}, {"-1", 0, false}, {"-1k", 0, false},
		{"", 0, false}, {"MiB", 0, false}, {"1.5GiB", 0, false}, {"1 000", 0, false}, {"lots", 0, false},
		{"1kk", 0, false}, {"0x10", 0, false},
	}
	for _, tt := range tests {
		var got Bytes = -7
		err := got.UnmarshalText([]byte(tt.text))
		if (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("%q is read as %d, %v", tt.text, got, err)
		}
		if !tt.ok && got != -7 {
			t.Errorf("%q changes the value to %d", tt.text, got)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(tt.want.String())); err != nil || again != tt.want {
			t.Errorf("%d is written as %q and read as %d, %v", tt.want, tt.want, again, err)
		}
	}
	for text, b := range map[string]Bytes{"0": 0, "1023": 1023, "1KiB": 1024, "1537": 1537, "3GiB": 3 << 30} {
		if b.String() != text {
			t.Errorf("%d is written as %q, want %q", int64(b), b, text)
		}
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // in the error; "" for none
	}{
		{"defaults", func(*Config) {}, ""},
		{"no data directory", func(c *Config) { c.Storage.DataDir = "" }, "--data-dir"},
		{"no call timeout", func(c *Config) { c.Limits.CallTimeout = 0 }, "--call-timeout"},
		{"no connections", func(c *Config) { c.Limits.MaxConnections = 0 }, "--max-connections"},
		{"negative idle timeout", func(c *Config) { c.Limits.IdleTimeout = -time.Second }, "--idle-timeout"},

		{"certificate alone", func(c *Config) { c.Security.TLSCert = "c" }, "--tls-key"},
		{"key alone", func(c *Config) { c.Security.TLSKey = "k" }, "--tls-cert"},
		{"certificate and key", func(c *Config) { c.Security.TLSCert, c.Security.TLSKey = "c", "k" }, ""},
		{"authority alone", func(c *Config) { c.Security.TLSClientCA = "a" }, "--tls-client-ca"},

		{"jwt without keys", func(c *Config) { c.Security.Auth = "jwt" }, "openssl"},
		{"jwt with a key", func(c *Config) { c.Security.Auth, c.Security.JWTKey = "jwt", []string{"k"} }, ""},
		{"jwt with a key set", func(c *Config) { c.Security.Auth, c.Security.JWKS = "jwt", []string{"k"} }, ""},
		{"keys without jwt", func(c *Config) { c.Security.JWTKey = []string{"k"} }, "--auth jwt"},
		{"issuer without jwt", func(c *Config) { c.Security.JWTIssuer = "i" }, "--auth jwt"},

		{"no RESP address", func(c *Config) { c.Listen.RespAddr = "" }, "--resp-addr"},
		{"no other address", func(c *Config) { c.Listen.GrpcAddr, c.Listen.HTTPAddr = "", "" }, ""},
		{"RESP address without port", func(c *Config) { c.Listen.RespAddr = "localhost" }, "HOST:PORT"},
		{"HTTP address without port", func(c *Config) { c.Listen.HTTPAddr = "9379" }, "--http-addr"},
		{"health for all", func(c *Config) { c.Listen.HTTPAddr = ":9379" }, ""},
		{"gRPC for all", func(c *Config) { c.Listen.GrpcAddr = ":7379" }, "--grpc-addr :7379 can be reached"},
		{"all for all", func(c *Config) {
			c.Listen = ListenConfig{RespAddr: ":1", GrpcAddr: ":2", HTTPAddr: ":3"}
			c.Security.Insecure = true
		}, ""},
		{"all for those with tokens", func(c *Config) {
			c.Listen = ListenConfig{RespAddr: ":1", GrpcAddr: ":2", HTTPAddr: ":3"}
			c.Security.Auth, c.Security.JWTKey = "jwt", []string{"k"}
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c Config
			must(t, kong.ApplyDefaults(&c))
			tt.change(&c)
			err := c.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Validate = %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestLoopback: without authentication only addresses of this machine alone are taken.
func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "128.0.0.1:1": false,
		"example.org:1": false, "localhost.example.org:1": false, "127.0.0.1.example.org:1": false,
	} {
		var c Config
		must(t, kong.ApplyDefaults(&c))
		c.Listen.RespAddr = addr
		if err := c.Validate(); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
