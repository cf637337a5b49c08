package command

import (
	"bytes"

	"github.com/primatomic/primatomic/engine"
)

// slotCount is how many hash slots cluster-aware clients spread keys over. Here all belong to the leader.
const slotCount = 16384

// crcTable is that of CRC-16/XMODEM, by which Redis computes slots.
var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()

// slotOf returns the hash slot of a key: of what stands between its first { and the next }, if that is not
// empty, else of the whole key.
func slotOf(key []byte) int {
	if open := bytes.IndexByte(key, '{'); open >= 0 {
		if n := bytes.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	crc := uint16(0)
	for _, b := range key {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^b]
	}
	return int(crc) % slotCount
}

func slotRows() []*Spec {
	return []*Spec{
		clusterRow("keyslot", clusterKeySlot, "Answers the hash slot of a key.", Str("key")),
		{
			Name: "countkeysinslot", Read: clusterCountKeys, Family: Clusters, Flags: NoKeys, Since: "0.2.0",
			Cost: "O(N) in keys of the namespace", Args: []Arg{Int("slot")},
			Summary: "Counts the keys of the namespace in a hash slot.",
		},
		{
			Name: "getkeysinslot", Read: clusterGetKeys, Family: Clusters, Flags: NoKeys, Since: "0.2.0",
			Cost: "O(N) in keys of the namespace", Args: []Arg{Int("slot"), Int("count")},
			Summary: "Lists keys of the namespace in a hash slot.",
		},
	}
}

var (
	errSlot  = &Error{Invalid, "Invalid slot"}
	errSlots = &Error{Invalid, "Invalid slot or number of keys"}
)

// keysInSlot calls fn for the keys of a slot until it returns false.
func keysInSlot(v *engine.View, c *Call, slot int64, fn func(key []byte) bool) *Error {
	w, err := newWalk(v, c, nil)
	if err != nil {
		return err
	}
	return w.ascend([]byte{}, nil, chunkKeys, func(key []byte) bool {
		return int64(slotOf(key)) != slot || fn(key)
	})
}

// clusterCountKeys is CLUSTER COUNTKEYSINSLOT.
func clusterCountKeys(v *engine.View, c *Call, r *Reply) {
	slot, ok := parseInt(c.Arg(2))
	switch {
	case !ok:
		r.Error(ErrNotInteger)
		return
	case slot < 0 || slot >= slotCount:
		r.Error(errSlot)
		return
	}
	n := int64(0)
	if err := keysInSlot(v, c, slot, func([]byte) bool { n++; return true }); err != nil {
		r.Error(err)
		return
	}
	r.Int(n)
}

// slotKeysMax bounds the keys that one CLUSTER GETKEYSINSLOT answers.
const slotKeysMax = 10_000

// clusterGetKeys is CLUSTER GETKEYSINSLOT.
func clusterGetKeys(v *engine.View, c *Call, r *Reply) {
	slot, ok := parseInt(c.Arg(2))
	count, okCount := parseInt(c.Arg(3))
	switch {
	case !ok || !okCount:
		r.Error(ErrNotInteger)
		return
	case slot < 0 || slot >= slotCount || count < 0:
		r.Error(errSlots)
		return
	}
	var found [][]byte
	most := int(min(count, slotKeysMax))
	if most > 0 {
		err := keysInSlot(v, c, slot, func(key []byte) bool {
			found = append(found, key)
			return len(found) < most
		})
		if err != nil {
			r.Error(err)
			return
		}
	}
	r.Array(len(found))
	for _, key := range found {
		r.Bulk(key)
	}
}
