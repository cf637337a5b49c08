package server

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config is the table of settings of a node. Each field is a flag, an environment variable (its name in
// capitals behind PRIMATOMIC_) and a key of the configuration file, all of one name.
type Config struct {
	Storage  StorageConfig  `embed:"" group:"Storage"`
	Listen   ListenConfig   `embed:"" group:"Listening"`
	Security SecurityConfig `embed:"" group:"Security"`
	Limits   LimitsConfig   `embed:"" group:"Limits"`
	Log      LogConfig      `embed:"" group:"Logging"`
}

// StorageConfig says where and how data is kept.
type StorageConfig struct {
	DataDir         string `default:"data" type:"path" help:"Directory that holds everything this node keeps."`
	CheckpointAfter Bytes  `default:"512MiB" help:"Write a checkpoint after this much log, or after the size of the last checkpoint if that is larger."`
	DiskReserve     Bytes  `default:"256MiB" help:"Refuse writes that grow when less than this and 1.1 times the last checkpoint is free on the disk."`
}

// ListenConfig says where clients connect.
type ListenConfig struct {
	RespAddr string `default:"127.0.0.1:6379" help:"Address for Redis clients."`
	GrpcAddr string `default:"127.0.0.1:7379" help:"Address for gRPC clients; empty for none."`
	HTTPAddr string `name:"http-addr" default:"127.0.0.1:9379" help:"Address for health checks over HTTP; empty for none."`
}

// SecurityConfig says who may connect.
type SecurityConfig struct {
	Auth        string   `default:"off" enum:"off,jwt" help:"How clients prove who they are: off (loopback only) or jwt."`
	JWTKey      []string `name:"jwt-key" type:"existingfile" help:"Key that tokens are verified with: a file with a secret of 32 bytes or more (HS256), or a public key in PEM (RS256, ES256, EdDSA). May be given several times; a token's kid is the file's name without its ending."`
	JWKS        []string `name:"jwks" type:"existingfile" help:"JSON Web Key Set with keys to verify tokens with. May be given several times."`
	JWTIssuer   string   `name:"jwt-issuer" help:"Accept only tokens of this issuer (iss)."`
	JWTAudience string   `name:"jwt-audience" help:"Accept only tokens for this audience (aud)."`
	TLSCert     string   `name:"tls-cert" type:"existingfile" help:"Certificate, in PEM, to show to clients; with it both doors speak TLS only."`
	TLSKey      string   `name:"tls-key" type:"existingfile" help:"Private key of the certificate, in PEM."`
	TLSClientCA string   `name:"tls-client-ca" type:"existingfile" help:"Ask clients for a certificate signed by these authorities, in PEM."`
	Insecure    bool     `help:"Listen beyond loopback although authentication is off. For containers and test networks."`
}

// LimitsConfig bounds what clients may ask for.
type LimitsConfig struct {
	MaxMemory      Bytes         `default:"0" help:"Refuse writes that grow when the data is larger than this; 0 for no limit."`
	MaxConnections int           `default:"10000" help:"Connections of Redis clients at one time."`
	IdleTimeout    time.Duration `default:"0s" help:"Close connections of Redis clients that have been silent for this long; 0 for never."`
	CallTimeout    time.Duration `default:"1800ms" help:"Answer a call at the latest after this long. Keep it below the clients' own timeouts: a client that times out first may send a write again that was applied."`
}

// LogConfig says what is logged.
type LogConfig struct {
	LogFormat string `default:"text" enum:"text,json" help:"Form of the log on standard error: text or json."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Least severity that is logged."`
}

// Validate refuses settings that contradict each other or are not safe.
func (c *Config) Validate() error {
	s := &c.Security
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together: give both or neither")
	}
	if s.TLSClientCA != "" && s.TLSCert == "" {
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key")
	}
	if s.Auth == "jwt" && len(s.JWTKey)+len(s.JWKS) == 0 {
		return errors.New("--auth jwt needs at least one --jwt-key or --jwks: " +
			"`openssl rand -base64 48 > jwt.key` makes a secret")
	}
	if c.Limits.CallTimeout <= 0 || c.Limits.MaxConnections <= 0 {
		return errors.New("--call-timeout and --max-connections must be more than 0")
	}
	if s.Auth != "off" || s.Insecure {
		return nil
	}
	for flag, addr := range map[string]string{"resp-addr": c.Listen.RespAddr, "grpc-addr": c.Listen.GrpcAddr} {
		if addr != "" && !loopback(addr) {
			return fmt.Errorf("--%s %s can be reached from other machines and authentication is off: "+
				"give --auth jwt, or --insecure if the network is trusted", flag, addr)
		}
	}
	return nil
}

// loopback reports whether an address to listen on can be reached from this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
