package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"
)

// written returns the frames of packets, those of a stream whole and in order.
func written(t testing.TB, packets ...packet) []byte {
	t.Helper()
	var f framer
	var out bytes.Buffer
	for _, p := range packets {
		o := outgoing{kind: p.kind, stream: data, group: p.group}
		o.content.raw(p.payload)
		o.begin()
		for f.frames(&o, writeBytesMax); o.underway; f.frames(&o, writeBytesMax) {
			continue
		}
		if _, err := f.writeTo(&out); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestPacketsRoundTrip(t *testing.T) {
	var packets []packet
	for i, size := range []int{0, 1, aliasBytesMin, framePayloadMax, framePayloadMax + 1, 1 << 20} {
		packets = append(packets, packet{Kind(i), testGroup, value(size, byte(i))})
	}
	r := bytes.NewReader(written(t, packets...))
	u := unframer{bytesMax: 1 << 20}
	for _, want := range packets {
		for {
			p, whole, err := u.next(r)
			if err != nil {
				t.Fatal(err)
			}
			if !whole {
				continue
			}
			if p.kind != want.kind || p.group != want.group || !bytes.Equal(p.payload, want.payload) {
				t.Fatalf("packet %d has %d bytes", p.kind, len(p.payload))
			}
			break
		}
	}
	if _, _, err := u.next(r); err != io.EOF {
		t.Fatal(err)
	}
}

// Frames of an express packet between those of another.
func TestStreamsInterleave(t *testing.T) {
	var f framer
	var out bytes.Buffer
	large := outgoing{kind: KindUser, stream: data}
	large.content.raw(value(5*framePayloadMax, 'x'))
	large.begin()
	order := []Kind{}
	for large.underway {
		f.frames(&large, 1)
		small := outgoing{kind: kindKeepalive, stream: express}
		small.content.raw([]byte("small"))
		small.begin()
		f.frames(&small, 1)
	}
	if _, err := f.writeTo(&out); err != nil {
		t.Fatal(err)
	}
	for u := (unframer{bytesMax: 1 << 20}); out.Len() > 0; {
		p, whole, err := u.next(&out)
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			order = append(order, p.kind)
		}
	}
	if len(order) != 6 || order[4] != KindUser || order[0] != kindKeepalive {
		t.Fatal(order)
	}
}

// seal makes the checksum of a header right again.
func seal(frame []byte) []byte {
	binary.LittleEndian.PutUint32(frame[36:], crc32.Checksum(frame[:36], castagnoli))
	return frame
}

func TestFramesRefused(t *testing.T) {
	two := packet{KindUser, 1, []byte("payload")}
	const size = headerBytes + 7
	large := packet{KindUser, 1, value(framePayloadMax+1, 'x')}
	for name, change := range map[string]func(b []byte) []byte{
		"repeat":          func(b []byte) []byte { return append(b[:size:size], b...) },
		"gap":             func(b []byte) []byte { return b[size:] },
		"magic":           func(b []byte) []byte { b[0]++; return seal(b) },
		"version":         func(b []byte) []byte { b[2]++; return seal(b) },
		"stream":          func(b []byte) []byte { b[4] = byte(streams); return seal(b) },
		"reserved":        func(b []byte) []byte { b[5] = 1; return seal(b) },
		"header":          func(b []byte) []byte { b[3]++; return b },
		"payload":         func(b []byte) []byte { b[headerBytes]++; return b },
		"frame too long":  func(b []byte) []byte { binary.LittleEndian.PutUint32(b[8:], 1<<30); return seal(b) },
		"rest too long":   func(b []byte) []byte { binary.LittleEndian.PutUint32(b[12:], 1<<32-1); return seal(b) },
		"packet too long": func([]byte) []byte { return written(t, packet{KindUser, 1, value(1<<20+1, 'x')}) },
		"empty with a rest": func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[8:], 1<<32)
			return seal(b)
		},
		"another packet in between": func([]byte) []byte {
			b := written(t, large)
			next := b[headerBytes+framePayloadMax:]
			next[3]++
			seal(next)
			return b
		},
		"rest that does not fit": func([]byte) []byte {
			b := written(t, large)
			next := b[headerBytes+framePayloadMax:]
			next[12] = 1
			seal(next)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := bytes.NewReader(change(written(t, two, two)))
			u := unframer{bytesMax: 1 << 20}
			var err error
			for err == nil {
				_, _, err = u.next(r)
			}
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
		})
	}
}

// Whatever arrives, what is taken is bounded and what was refused stays so.
func FuzzFrames(f *testing.F) {
	f.Add(written(f, packet{KindUser, 1, []byte("payload")}, packet{kindRaft, 2, encode(f, heartbeat(1, 2, 3))}))
	f.Add(written(f, packet{kindKeepalive, 0, (&keepalive{ping: true}).encode()}))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: here\r\n\r\nand more and more and more"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksums are made right, or the fuzzer never gets past them.
		for rest := b; len(rest) >= headerBytes; {
			size := int(binary.LittleEndian.Uint32(rest[8:]))
			if size > len(rest)-headerBytes {
				break
			}
			payload := rest[headerBytes : headerBytes+size]
			binary.LittleEndian.PutUint32(rest[32:], crc32.Checksum(payload, castagnoli))
			seal(rest)
			rest = rest[headerBytes+size:]
		}
		const bytesMax = 4096
		u := unframer{bytesMax: bytesMax}
		r := bytes.NewReader(b)
		var whole []packet
		for {
			p, ok, err := u.next(r)
			if err != nil {
				break
			}
			if !ok {
				continue
			}
			if len(p.payload) > bytesMax {
				t.Fatalf("packet of %d bytes", len(p.payload))
			}
			whole = append(whole, p)
		}
		r = bytes.NewReader(written(t, whole...))
		u = unframer{bytesMax: bytesMax}
		for _, want := range whole {
			p, ok, err := u.next(r)
			if err != nil || !ok || p.kind != want.kind || p.group != want.group ||
				!bytes.Equal(p.payload, want.payload) {
				t.Fatalf("%+v became %+v, %v", want, p, err)
			}
		}
	})
}

func FuzzKeepalive(f *testing.F) {
	f.Add((&keepalive{ping: true, pong: true, asked: 5, echoed: 7}).encode())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := decodeKeepalive(b)
		if err == nil && !bytes.Equal(k.encode(), b) {
			t.Fatalf("%x became %x", b, k.encode())
		}
		var p pulse
		p.receive(&k, 1)
		p.read(2)
	})
}
