package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

const (
	fileBytesMax   = 1 << 20
	secretBytesMin = 32 // RFC 7518, 3.2: no shorter than the hash
	rsaBitsMin     = 2048
	rsaBitsMax     = 8192 // a larger one costs a millisecond per signature
)

// keyFiles are the paths that keys come from.
type keyFiles struct {
	any  []string
	jwks []string
}

// keyContents are the bytes of all key files at one moment.
type keyContents []keyContent

type keyContent struct {
	file string
	jwks bool // it must be a JWKS
	data []byte
}

type contentHash [sha256.Size]byte

func (f keyFiles) read() (keyContents, error) {
	var all keyContents
	for _, file := range f.any {
		all = append(all, keyContent{file: file})
	}
	for _, file := range f.jwks {
		all = append(all, keyContent{file: file, jwks: true})
	}
	for i := range all {
		data, err := readKeyFile(all[i].file)
		if err != nil {
			return nil, err
		}
		all[i].data = data
	}
	return all, nil
}

func readKeyFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("auth: key file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("auth: key file: %w", err)
	}
	if len(data) > fileBytesMax {
		return nil, fmt.Errorf("auth: key file %s is over %d bytes", file, fileBytesMax)
	}
	return data, nil
}

// hash is equal for equal contents of the same list of files.
func (c keyContents) hash() contentHash {
	h := sha256.New()
	for _, content := range c {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(content.data))))
		h.Write(content.data)
	}
	return contentHash(h.Sum(nil))
}

func (c keyContents) keys(log *slog.Logger) ([]key, error) {
	var all []key
	for _, content := range c {
		keys, skipped, err := content.keys()
		if err != nil {
			return nil, fmt.Errorf("auth: key file %s: %w", content.file, err)
		}
		for _, reason := range skipped {
			log.Warn("key of a JWKS is not used", "file", content.file, "reason", reason)
		}
		all = append(all, keys...)
	}
	return all, nil
}

// keys reads one file. Of a JWKS it may leave keys out: skipped says which and why.
func (c keyContent) keys() (keys []key, skipped []string, err error) {
	if c.jwks || looksLikeJWKS(c.data) {
		return parseJWKS(c.data)
	}
	k := key{id: keyID(c.file)}
	if looksLikePEM(c.data) {
		k.algorithm, k.material, err = publicKeyPEM(c.data)
	} else {
		k.algorithm = algHS256
		k.material, err = secretOf(c.data)
	}
	return []key{k}, nil, err
}

// keyID is the base name without its last extension.
func keyID(file string) string {
	base := filepath.Base(file)
	if id := strings.TrimSuffix(base, filepath.Ext(base)); id != "" {
		return id
	}
	return base
}

func looksLikePEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// secretOf is the secret that a file holds: its bytes, or for a line of text the text. What is
// public by nature is refused, else whoever reads a public key could sign with it.
func secretOf(data []byte) ([]byte, error) {
	if kind := publicByNature(data); kind != "" {
		return nil, fmt.Errorf("this is %s, not a secret; give public keys as PEM "+
			"(openssl pkey -pubin -inform DER -in FILE) or as a JWKS", kind)
	}
	if kind := document(data); kind != "" {
		return nil, fmt.Errorf("this is %s, not a secret; replace key files whole, by rename", kind)
	}
	if text := bytes.TrimRight(data, "\r\n"); isPrintable(text) {
		data = text
	}
	if len(data) < secretBytesMin {
		return nil, fmt.Errorf("the secret has %d bytes, HS256 needs at least %d; make one with: "+
			"openssl rand -base64 48 > FILE", len(data), secretBytesMin)
	}
	return data, nil
}

func isPrintable(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func publicByNature(data []byte) string {
	text := string(data[:min(len(data), 64)])
	if strings.HasPrefix(text, "ssh-") || strings.HasPrefix(text, "ecdsa-sha2-") {
		return "an SSH public key"
	}
	if _, err := x509.ParsePKIXPublicKey(data); err == nil {
		return "a public key in DER form"
	}
	if _, err := x509.ParsePKCS1PublicKey(data); err == nil {
		return "a public key in DER form"
	}
	if _, err := x509.ParseCertificate(data); err == nil {
		return "a certificate in DER form"
	}
	return ""
}

// document says what data is if it is the beginning of JSON or HTML, "" if it is neither: a JWKS of which
// only a part has been written yet, or the page that a download got in its place. Both are public.
func document(data []byte) string {
	for _, c := range data {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' { // random bytes, not text
			return ""
		}
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	if len(text) == 0 {
		return ""
	}
	var next byte // 0: the text ends with its first byte
	if rest := bytes.TrimSpace(text[1:]); len(rest) > 0 {
		next = rest[0]
	}
	letter := next|0x20 >= 'a' && next|0x20 <= 'z'
	switch {
	case text[0] == '{' && (next == '"' || next == 0), text[0] == '[' && (next == '{' || next == 0):
		return "JSON that was cut short"
	case text[0] == '<' && (letter || next == '!' || next == '?'):
		return "HTML or XML"
	}
	return ""
}

// onePEM returns the only block of data. Curve parameters, which openssl puts before EC keys, do not
// count.
func onePEM(data []byte) (*pem.Block, error) {
	var found *pem.Block
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		if block.Type == "EC PARAMETERS" {
			continue
		}
		if found != nil {
			return nil, errors.New("it holds more than one PEM block; give one key per file")
		}
		found = block
	}
	if found == nil || looksLikePEM(data) {
		return nil, errors.New("its PEM block is damaged")
	}
	return found, nil
}

func publicKeyPEM(data []byte) (algorithm string, material any, err error) {
	block, err := onePEM(data)
	if err != nil {
		return "", nil, err
	}
	var public any
	switch {
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return "", nil, errors.New("it holds a private key, which a server must not have; take the public one: " +
			"openssl pkey -in FILE -pubout -out FILE.pub")
	case block.Type == "CERTIFICATE":
		return "", nil, errors.New("it holds a certificate; take the public key: " +
			"openssl x509 -in FILE -noout -pubkey")
	default:
		return "", nil, fmt.Errorf("PEM block %s is not a public key", quote(block.Type))
	}
	if err != nil {
		return "", nil, errors.New("its public key is damaged or of an unknown kind")
	}
	algorithm, err = algorithmOf(public)
	return algorithm, public, err
}

// algorithmOf gives the one algorithm that a public key is for.
func algorithmOf(public any) (string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < rsaBitsMin || bits > rsaBitsMax {
			return "", fmt.Errorf("the RSA key has %d bits, allowed are %d to %d", bits, rsaBitsMin, rsaBitsMax)
		}
		return algRS256, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("the EC key's curve is %s, only P-256 is supported", k.Curve.Params().Name)
		}
		return algES256, nil
	case ed25519.PublicKey:
		return algEdDSA, nil
	}
	return "", fmt.Errorf("a key of type %T is not supported; use RSA, EC P-256 or Ed25519", public)
}
