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

// newAuthenticator returns who tells callers apart, and what reloads its keys, nil if nothing is to be reloaded.
func newAuthenticator(
	c SecurityConfig, logger *slog.Logger,
) (auth.Authenticator, func(context.Context, clock.Clock), error) {
	if c.Auth == "off" {
		return auth.Off(), nil, nil
	}
	jwt, err := auth.NewJWT(auth.Options{
		KeyFiles: c.JWTKey, JWKSFiles: c.JWKS, Issuer: c.JWTIssuer, Audience: c.JWTAudience,
		Leeway: auth.LeewayDefault, Logger: logger,
	})
	if err != nil {
		return nil, nil, err
	}
	return jwt, jwt.Watch, nil
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
