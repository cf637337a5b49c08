package checkpoint

// Summary is what Check found in a sound checkpoint.
type Summary struct {
	Meta       Meta
	Sections   uint64
	Keys       uint64
	KeyBytes   uint64
	ValueBytes uint64
}

// Check reads a whole checkpoint: every checksum, then every section, key and value, their order and number.
// Nothing is changed. Damage is a *CorruptError.
func Check(path string) (Summary, error) {
	r, err := Open(path)
	if err != nil {
		return Summary{}, err
	}
	defer r.Close()
	s := Summary{Meta: r.Meta()}
	err = r.Sections(
		func(uint64, []byte) error { s.Sections++; return nil },
		func(key, value []byte) error {
			s.Keys++
			s.KeyBytes += uint64(len(key))
			s.ValueBytes += uint64(len(value))
			return nil
		})
	return s, err
}
