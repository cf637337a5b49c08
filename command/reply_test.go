package command

import (
	"math"
	"reflect"
	"testing"
)

func TestReply(t *testing.T) {
	for name, test := range map[string]struct {
		append       func(r *Reply)
		resp2, resp3 string
	}{
		"status":     {func(r *Reply) { r.Status("PONG") }, "+PONG\r\n", "+PONG\r\n"},
		"OK":         {func(r *Reply) { r.OK() }, "+OK\r\n", "+OK\r\n"},
		"error":      {func(r *Reply) { r.Error(ErrSyntax) }, "-ERR syntax error\r\n", "-ERR syntax error\r\n"},
		"integer":    {func(r *Reply) { r.Int(-7) }, ":-7\r\n", ":-7\r\n"},
		"yes":        {func(r *Reply) { r.Bool01(true) }, ":1\r\n", ":1\r\n"},
		"bulk":       {func(r *Reply) { r.Bulk([]byte("a\r\nb")) }, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
		"empty bulk": {func(r *Reply) { r.BulkString("") }, "$0\r\n\r\n", "$0\r\n\r\n"},
		"null":       {func(r *Reply) { r.Null() }, "$-1\r\n", "_\r\n"},
		"null array": {func(r *Reply) { r.NullArray() }, "*-1\r\n", "_\r\n"},
		"map": {
			func(r *Reply) { r.Map(1); r.Int(1); r.Int(2) },
			"*2\r\n:1\r\n:2\r\n", "%1\r\n:1\r\n:2\r\n",
		},
		"set":          {func(r *Reply) { r.Set(1); r.Int(1) }, "*1\r\n:1\r\n", "~1\r\n:1\r\n"},
		"true":         {func(r *Reply) { r.Bool(true) }, ":1\r\n", "#t\r\n"},
		"false":        {func(r *Reply) { r.Bool(false) }, ":0\r\n", "#f\r\n"},
		"double":       {func(r *Reply) { r.Double(0.1) }, "$3\r\n0.1\r\n", ",0.1\r\n"},
		"infinity":     {func(r *Reply) { r.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		"verbatim":     {func(r *Reply) { r.Verbatim("hi") }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
		"quoted bytes": {func(r *Reply) { r.Error(Errorf(Invalid, "a\r\nb")) }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for proto, want := range map[int]string{2: test.resp2, 3: test.resp3} {
				r := NewReply(proto, nil)
				test.append(r)
				if got := string(r.Bytes()); got != want {
					t.Errorf("RESP%d: %q, want %q", proto, got, want)
				}
				if _, rest, err := ParseValue(r.Bytes()); err != nil || len(rest) != 0 {
					t.Errorf("RESP%d: %q does not read back: %v", proto, r.Bytes(), err)
				}
			}
		})
	}
}

func TestReplyArrayOfUnknownLength(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 100, 12345} {
		r := NewReply(2, nil)
		r.Status("before")
		mark := r.BeginArray()
		for i := range n {
			r.Int(int64(i % 10))
		}
		r.EndArray(mark, n)
		r.Status("after")
		_, rest, err := ParseValue(r.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		v, rest, err := ParseValue(rest)
		if err != nil || v.Kind != KindArray || len(v.Elems) != n {
			t.Fatalf("%d elements: %v, kind %q, %d elements", n, err, v.Kind, len(v.Elems))
		}
		for i := range v.Elems {
			if v.Elems[i].Int != int64(i%10) {
				t.Fatalf("%d elements: element %d is %d", n, i, v.Elems[i].Int)
			}
		}
		if string(rest) != "+after\r\n" {
			t.Fatalf("%d elements: then %q", n, rest)
		}
	}
}

func TestReplyCode(t *testing.T) {
	var r Reply
	r.Error(ErrWrongType)
	if r.Code() != WrongType {
		t.Errorf("after an error: %d", r.Code())
	}
	n := r.Mark()
	r.OK()
	if r.Code() != OK {
		t.Errorf("after a mark: %d", r.Code())
	}
	r.Error(ErrSyntax)
	r.Truncate(n)
	if r.Code() != OK || string(r.Bytes()) != "-"+ErrWrongType.Error()+"\r\n" {
		t.Errorf("after taking back: %d, %q", r.Code(), r.Bytes())
	}
}

func TestParseValueRefuses(t *testing.T) {
	for _, form := range []string{
		"", "+", "+OK", "+OK\n", "?1\r\n", ":x\r\n", "$5\r\nabc\r\n", "$99999999999999999999\r\n",
		"$9223372036854775807\r\nabc\r\n", "*1\r\n", "*9223372036854775807\r\n", "%4611686018427387904\r\n",
		"%9223372036854775807\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n" +
			"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "$2\r\nabcd", "*2\r\n:1\r\n",
	} {
		if v, _, err := ParseValue([]byte(form)); err == nil {
			t.Errorf("%q was read as %+v", form, v)
		}
	}
}

// FuzzParseValue holds that no bytes make ParseValue panic, and that what it reads is stable.
func FuzzParseValue(f *testing.F) {
	for _, form := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*-1\r\n", "*2\r\n:1\r\n$1\r\na\r\n",
		"%1\r\n+a\r\n:1\r\n", "~1\r\n:1\r\n", "=7\r\ntxt:abc\r\n", "_\r\n", "#t\r\n", ",1.5\r\n",
		"*3\r\n*0\r\n%0\r\n_\r\n",
	} {
		f.Add([]byte(form))
	}
	f.Fuzz(func(t *testing.T, form []byte) {
		v, rest, err := ParseValue(form)
		if err != nil {
			return
		}
		read := form[:len(form)-len(rest)]
		again, none, err := ParseValue(read)
		if err != nil || len(none) != 0 || !reflect.DeepEqual(v, again) {
			t.Fatalf("%q read as %+v, then as %+v, %v", read, v, again, err)
		}
	})
}
