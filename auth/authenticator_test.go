package auth

import (
	"testing"
	"time"
)

func TestOffIsDefaultWithEveryRight(t *testing.T) {
	for _, token := range []string{"", "anything"} {
		p, err := Off().Authenticate(token, testNow)
		ever := testNow.AddDate(1000, 0, 0)
		if err != nil || p.Credential != "default" || !p.May(ScopeAll, "any") || p.Expired(ever) {
			t.Errorf("token %q: got %+v, %v", token, p, err)
		}
	}
}

func TestMay(t *testing.T) {
	all := &Principal{Scope: Read | Write}
	some := &Principal{Scope: Read, Namespaces: []string{"a", "0"}}
	none := &Principal{Scope: Read, Namespaces: []string{}}
	admin := &Principal{Scope: Admin}
	for _, tc := range []struct {
		name      string
		p         *Principal
		scope     Scope
		namespace string
		want      bool
	}{
		{"unrestricted", all, Read | Write, "x", true},
		{"no admin", all, Admin, "", false},
		{"listed", some, Read, "a", true},
		{"numbered and listed", some, Read, "0", true},
		{"not listed", some, Read, "b", false},
		{"listed, no right", some, Write, "a", false},
		{"one right of two", some, Read | Write, "a", false},
		{"no namespace concerned", some, Read, "", true},
		{"empty list", none, Read, "a", false},
		{"admin does not read", admin, Read, "a", false},
		{"admin", admin, Admin, "", true},
		{"nobody", nil, 0, "", false},
	} {
		if got := tc.p.May(tc.scope, tc.namespace); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
	}
}

func TestLogin(t *testing.T) {
	j := newTestJWT(t, nil)
	token := hs256(nil, m{"sub": "acme", "exp": exp(time.Hour)})
	for _, tc := range []struct {
		user, namespace string
		want            Reason
	}{
		{"", "", 0},
		{"acme", "", 0},
		{"default", "", 0},
		{"acme/app", "app", 0},
		{"default/app", "app", 0},
		{"/app", "app", 0},
		{"acme/", "", 0},
		{"acme/x/app", "", WrongCredential},
		{"evil", "", WrongCredential},
		{"evil/app", "", WrongCredential},
		{"ACME", "", WrongCredential},
	} {
		p, namespace, err := Login(j, tc.user, token, testNow)
		if ReasonOf(err) != tc.want || namespace != tc.namespace || (err == nil) != (p != nil) {
			t.Errorf("user %q: got %v, %q, %v", tc.user, p, namespace, err)
		}
	}
	if _, _, err := Login(j, "acme", "", testNow); ReasonOf(err) != NoToken {
		t.Errorf("without a token: %v", err)
	}
	if _, _, err := Login(Off(), "acme", "x", testNow); ReasonOf(err) != WrongCredential {
		t.Errorf("authentication off knows default only: %v", err)
	}
}

func TestParseScope(t *testing.T) {
	for text, want := range map[string]Scope{
		"": 0, "read": Read, "read,write": Read | Write, "admin read": Admin | Read, " read , read ": Read,
	} {
		if got, err := ParseScope(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	if _, err := ParseScope("read,wriet"); err == nil {
		t.Error("an unknown word was accepted")
	}
	for s := range ScopeAll + 1 {
		if got, err := ParseScope(s.String()); err != nil || got != s {
			t.Errorf("%v does not read back: %v, %v", s, got, err)
		}
	}
}

func TestReasonsHaveTexts(t *testing.T) {
	for r := NoToken; r < reasonEnd; r++ {
		if reasonTexts[r] == "" {
			t.Errorf("reason %d has no text", r)
		}
	}
}
