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
	Cluster  ClusterConfig  `embed:"" group:"Cluster"`
	Security SecurityConfig `embed:"" group:"Security"`
	Limits   LimitsConfig   `embed:"" group:"Limits"`
	Log      LogConfig      `embed:"" group:"Logging"`
}

// StorageConfig says where and how data is kept.
type StorageConfig struct {
	DataDir         string `default:"data" type:"path" help:"Directory that holds everything this node keeps. It is made if it is missing."`
	CheckpointAfter Bytes  `default:"512MiB" help:"Write a checkpoint (the whole state in one file, so that the log before it can be deleted) after this much log, or after the size of the last checkpoint if that is larger."`
	CatchUpRate     Bytes  `default:"64MiB" help:"Fetch a checkpoint from another node, when this one was away for long or is new, at no more than this per second; 0 for as fast as it goes."`
	DiskReserve     Bytes  `default:"256MiB" help:"Refuse writes that grow while less than this and 1.1 times the last checkpoint is free on the disk."`
}

// ListenConfig says where clients connect.
type ListenConfig struct {
	RespAddr          string `default:"127.0.0.1:6379" help:"Address for Redis clients. Port 0 takes a free one."`
	GrpcAddr          string `default:"127.0.0.1:7379" help:"Address for gRPC clients; empty for none."`
	HTTPAddr          string `name:"http-addr" default:"127.0.0.1:9379" help:"Address for health checks over HTTP (/healthz, /readyz) and Prometheus metrics (/metrics); empty for none."`
	MetricsNamespaces bool   `help:"Tell at /metrics how many keys and bytes each namespace has, with the names of namespaces and credentials, to everyone who can reach the HTTP address."`
	Profiles          bool   `help:"Serve profiles of the process (/debug/pprof) at the HTTP address: stacks, heap and CPU, to everyone who can reach it."`
}

// SecurityConfig says who may connect.
type SecurityConfig struct {
	Auth        string   `default:"off" enum:"off,jwt" help:"How clients prove who they are: off (everyone who connects is one credential, and only this machine can), or jwt (JSON Web Tokens, made by primatomic token new or by an identity provider)."`
	JWTKey      []string `name:"jwt-key" type:"existingfile" placeholder:"FILE" help:"Key that tokens are verified with: a file with a secret of 32 bytes or more (HS256), or a public key in PEM (RS256, ES256, EdDSA). May be given several times; a token's key id (kid) is the file's name without its ending."`
	JWKS        []string `name:"jwks" type:"existingfile" placeholder:"FILE" help:"JSON Web Key Set with keys to verify tokens with. May be given several times."`
	JWTIssuer   string   `name:"jwt-issuer" placeholder:"NAME" help:"Accept only tokens of this issuer (iss)."`
	JWTAudience string   `name:"jwt-audience" placeholder:"NAME" help:"Accept only tokens for this audience (aud)."`
	TLSCert     string   `name:"tls-cert" type:"existingfile" placeholder:"FILE" help:"Certificate, in PEM, to show to clients. With it Redis and gRPC clients must speak TLS."`
	TLSKey      string   `name:"tls-key" type:"existingfile" placeholder:"FILE" help:"Private key of the certificate, in PEM."`
	TLSClientCA string   `name:"tls-client-ca" type:"existingfile" placeholder:"FILE" help:"Admit only clients with a certificate signed by one of these authorities, in PEM."`
	Insecure    bool     `help:"Listen beyond this machine although authentication is off, or although peers need not prove who they are. For containers and test networks."`
}

// LimitsConfig bounds what clients may ask for.
type LimitsConfig struct {
	MaxMemory      Bytes         `default:"0" help:"Refuse writes that grow while the data is larger than this; 0 for no limit. Keys are never evicted."`
	MaxConnections int           `default:"10000" help:"Connections at one time, of Redis clients and of gRPC clients each."`
	IdleTimeout    time.Duration `default:"0s" help:"Close connections of Redis clients that have been silent for this long; 0 for never."`
	CallTimeout    time.Duration `default:"1800ms" help:"Answer a call at the latest after this long. Keep it below the clients' own timeouts: a client that times out first may send a write again that was applied."`
}

// LogConfig says what is logged.
type LogConfig struct {
	LogFormat string `default:"text" enum:"text,json" help:"Form of the log on standard error: text or json."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Least severity that is logged: debug, info, warn or error."`
}

// Validate refuses settings that contradict each other or are not safe.
func (c *Config) Validate() error {
	if c.Storage.DataDir == "" {
		return errors.New("--data-dir must not be empty")
	}
	l := &c.Limits
	if l.CallTimeout <= 0 || l.MaxConnections <= 0 || l.IdleTimeout < 0 {
		return errors.New("--call-timeout and --max-connections must be more than 0, --idle-timeout not less")
	}
	if err := c.Security.validate(); err != nil {
		return err
	}
	if err := c.Cluster.validate(); err != nil {
		return err
	}
	if err := c.Cluster.validateOpen(c.Security.Insecure); err != nil {
		return err
	}
	return c.validateAddresses()
}

func (s *SecurityConfig) validate() error {
	keys := len(s.JWTKey) + len(s.JWKS)
	switch {
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: give both or neither")
	case s.TLSClientCA != "" && s.TLSCert == "":
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key")
	case s.Auth == "jwt" && keys == 0:
		return errors.New("--auth jwt needs at least one --jwt-key or --jwks: " +
			"`openssl rand -base64 48 > jwt.key` makes a secret")
	case s.Auth == "off" && (keys > 0 || s.JWTIssuer != "" || s.JWTAudience != ""):
		return errors.New("--jwt-key, --jwks, --jwt-issuer and --jwt-audience mean nothing without --auth jwt")
	}
	return nil
}

// validateAddresses refuses what is no address, and to be open to other machines without authentication.
func (c *Config) validateAddresses() error {
	if c.Listen.RespAddr == "" {
		return errors.New("--resp-addr must not be empty")
	}
	open := c.Security.Auth == "off" && !c.Security.Insecure
	for _, listen := range []struct {
		flag, addr string
		data       bool // can be read and written there
	}{
		{"resp-addr", c.Listen.RespAddr, true},
		{"grpc-addr", c.Listen.GrpcAddr, true},
		{"http-addr", c.Listen.HTTPAddr, false},
	} {
		if listen.addr == "" {
			continue
		}
		host, _, err := net.SplitHostPort(listen.addr)
		if err != nil {
			return fmt.Errorf("--%s %q is no address: write HOST:PORT, as in 127.0.0.1:6379", listen.flag, listen.addr)
		}
		if open && listen.data && !loopback(host) {
			return fmt.Errorf("--%s %s can be reached from other machines and authentication is off: "+
				"give --auth jwt, or --insecure if the network is trusted", listen.flag, listen.addr)
		}
	}
	return nil
}

// loopback reports whether a host to listen on can be reached from this machine only.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
