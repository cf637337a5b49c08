package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/internal/clock"
)

// keys are what the doors need to tell callers apart and to speak in secret.
type keys struct {
	authenticator auth.Authenticator
	watch         func(context.Context, clock.Clock) // reloads what has changed; nil: nothing can
	tls           *tls.Config                        // nil: plain text
}

// newKeys reads the files that the settings name.
func newKeys(c SecurityConfig, logger *slog.Logger) (*keys, error) {
	tls, err := newTLS(c)
	if err != nil {
		return nil, err
	}
	if c.Auth == "off" {
		return &keys{authenticator: auth.Off(), tls: tls}, nil
	}
	jwt, err := auth.NewJWT(auth.Options{
		KeyFiles: c.JWTKey, JWKSFiles: c.JWKS, Issuer: c.JWTIssuer, Audience: c.JWTAudience,
		Leeway: auth.LeewayDefault, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return &keys{authenticator: jwt, watch: jwt.Watch, tls: tls}, nil
}

// newTLS returns how to speak TLS to clients, nil for not at all.
func newTLS(c SecurityConfig) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if c.TLSClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.TLSClientCA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-client-ca %s holds no certificate in PEM", c.TLSClientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}
