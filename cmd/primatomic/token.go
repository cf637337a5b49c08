package main

import (
	"fmt"
	"time"

	"github.com/primatomic/primatomic/auth"
)

type tokenCommand struct {
	New tokenNewCommand `cmd:"" help:"Sign a token, for development and for operators' own use."`
}

type tokenNewCommand struct {
	Key        string        `required:"" type:"existingfile" help:"Secret (HS256) or PEM private key (RS256, ES256, EdDSA) to sign with."`
	Credential string        `required:"" help:"Who the token speaks for (sub)."`
	TTL        time.Duration `name:"ttl" default:"24h" help:"How long the token is valid."`
	Namespaces []string      `help:"Restrict the token to these namespaces, comma-separated."`
	Scope      string        `default:"read,write" help:"Rights: read, write, admin, comma-separated."`
	Issuer     string        `help:"Issuer (iss)."`
	Audience   string        `help:"Audience (aud)."`
	KeyID      string        `name:"kid" help:"Key id (kid); by default the name of the key file without its ending for secrets."`
}

// Run prints a token.
func (c *tokenNewCommand) Run() error {
	scope, err := auth.ParseScope(c.Scope)
	if err != nil {
		return err
	}
	now := time.Now()
	token, err := auth.Sign(c.Key, auth.Claims{
		Credential: c.Credential, Namespaces: c.Namespaces, Scope: scope,
		IssuedAt: now, Expires: now.Add(c.TTL),
		Issuer: c.Issuer, Audience: c.Audience, KeyID: c.KeyID,
	})
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
