package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// smallDisk mounts a file system of a size of its own.
func smallDisk(t testing.TB, bytes int) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no processes")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can mount the small disk that this test needs")
	}
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	if err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// diskBytes is the size of the small disk of a fleet's node.
const diskBytes = 512 << 20

// shrink gives a node, which has never run, a small disk of its own: a brittle one where there can be one.
func (n *node) shrink() {
	n.t.Helper()
	if n.brittle = newBrittleDisk(n.t, diskBytes); n.brittle != nil {
		n.disk = n.brittle.dir
	} else {
		n.disk = smallDisk(n.t, diskBytes)
	}
	n.dir = filepath.Join(n.disk, "data")
}

// brittleDisk is a file system on a block device that can be made to fail: every write and sync of it is answered with
// EIO then. The device is compressed memory (zram), which fails where it may not have more.
type brittleDisk struct {
	t           testing.TB
	dir, device string
}

// newBrittleDisk makes a brittle disk, nil if this machine has none.
func newBrittleDisk(t testing.TB, bytes int) *brittleDisk {
	t.Helper()
	_, err := exec.LookPath("mkfs.ext4")
	var number []byte
	if err == nil {
		number, err = os.ReadFile("/sys/class/zram-control/hot_add") // which makes a device
	}
	if err != nil {
		t.Logf("no disk can be made to fail here: %v", err)
		return nil
	}
	id := strings.TrimSpace(string(number))
	d := &brittleDisk{t: t, dir: t.TempDir(), device: "zram" + id}
	t.Cleanup(func() {
		if err := os.WriteFile("/sys/class/zram-control/hot_remove", []byte(id), 0o200); err != nil {
			t.Error(err)
		}
	})
	d.set("disksize", fmt.Sprint(bytes))
	if out, err := exec.Command("mkfs.ext4", "-q", "/dev/"+d.device).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	d.mount()
	t.Cleanup(d.unmount)
	return d
}

func (d *brittleDisk) set(name, value string) {
	d.t.Helper()
	if err := os.WriteFile("/sys/block/"+d.device+"/"+name, []byte(value), 0o200); err != nil {
		d.t.Fatal(err)
	}
}

func (d *brittleDisk) mount() {
	d.t.Helper()
	if err := syscall.Mount("/dev/"+d.device, d.dir, "ext4", 0, ""); err != nil {
		d.t.Fatal(err)
	}
}

func (d *brittleDisk) unmount() {
	if err := syscall.Unmount(d.dir, 0); err != nil {
		d.t.Error(err)
	}
}

// fail lets the disk fail from now on.
func (d *brittleDisk) fail() { d.set("mem_limit", fmt.Sprint(os.Getpagesize())) }

// mend lets it work again. Nothing may use it. What the system remembers of it, and has not written, is forgotten.
func (d *brittleDisk) mend() {
	d.set("mem_limit", "0")
	d.unmount()
	d.mount()
}

// free returns how much room is left.
func free(t testing.TB, dir string) int64 {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		t.Fatal(err)
	}
	return int64(stat.Bavail) * stat.Bsize
}

// ballast fills a disk up to the given rest, and again what has become free since it was filled.
func ballast(t testing.TB, dir string, rest int64) (remove func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	chunk := make([]byte, 1<<20)
	for left := free(t, dir) - rest; left > 0; left = free(t, dir) - rest {
		if _, err := file.Write(chunk[:min(left, int64(len(chunk)))]); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// diskNode starts a node on a small disk.
func diskNode(t testing.TB, bytes int, flags ...string) (*node, string) {
	t.Helper()
	disk := smallDisk(t, bytes)
	n := newNode(t, flags...)
	n.dir = filepath.Join(disk, "data")
	n.start()
	return n, disk
}

// TestDiskNearlyFull: below the reserve writes that grow are refused, all else goes on, and it ends by
// itself.
func TestDiskNearlyFull(t *testing.T) {
	n, disk := diskNode(t, 256<<20, "--disk-reserve", "32MiB")
	w, kv, ctx := n.wire(t), n.keyValue(t, ""), t.Context()
	n.fill(t, 50, 1000)
	w.do(t, "SET", "count", "1")
	remove := ballast(t, disk, 16<<20)
	eventually(t, 20*time.Second, "writes that grow are refused", func() bool {
		a := w.do(t, "SET", "k", "v")
		return a.prefix() == "DISKFULL"
	})
	for _, line := range []string{
		"APPEND count 1", "INCR count", "MSET a 1 b 2", "CAS count 1 2", "SETRANGE count 5 x",
	} {
		expectPrefix(t, w.do(t, strings.Fields(line)...), "DISKFULL")
	}
	_, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "0", Key: "k", Value: []byte("v")})
	expectStatus(t, err, codes.ResourceExhausted, "DISK_FULL")
	for _, line := range []string{
		"GET fill:1", "EXPIRE fill:2 100", "DEL fill:49", "PERSIST fill:2", "DBSIZE", "PING",
	} {
		expectPrefix(t, w.do(t, strings.Fields(line)...), "")
	}
	if _, err := kv.DeleteKey(ctx, &pb.DeleteKeyRequest{Namespace: "0", Key: "fill:48"}); err != nil {
		t.Errorf("delete: %v", err)
	}
	remove()
	eventually(t, 20*time.Second, "writes are taken again", func() bool {
		a := w.do(t, "SET", "k", "v")
		return a.raw == "+OK\r\n"
	})
	n.kill()
	n.restart()
	if met := n.filled(t, 48, 1000); met != 48 {
		t.Errorf("%d of 48 keys are there", met)
	}
	if a := n.wire(t).do(t, "GET", "k"); a.text != "v" {
		t.Errorf("the last write is %q", a.raw)
	}
}

// TestDiskFull takes all room away under load, faster than the node looks. It may refuse and it may stop,
// but what it has acknowledged is there when there is room again.
func TestDiskFull(t *testing.T) {
	n, disk := diskNode(t, 256<<20, "--disk-reserve", "1MiB", "--checkpoint-after", "1MiB")
	w := n.wire(t)
	remove := ballast(t, disk, 0)
	value := strings.Repeat("v", 1<<20)
	acked, refusals := 0, 0
	for i := 0; i < 400 && refusals < 5; i++ {
		key := fmt.Sprint("large:", i)
		switch a := w.do(t, "SET", key, value); a.prefix() {
		case "":
			acked = i + 1
		case "DISKFULL", "TRYAGAIN", "UNCERTAIN":
			refusals++
		default:
			t.Fatalf("on a full disk SET is answered by %q", a.raw)
		}
	}
	if refusals == 0 {
		t.Error("a full disk refused nothing")
	}
	if a := w.do(t, "GET", "large:0"); a.text != value {
		t.Errorf("on a full disk GET is answered by %.80q", a.raw)
	}
	switch a := w.do(t, "DEL", "large:0"); a.prefix() {
	case "", "TRYAGAIN", "UNCERTAIN": // the segment may be at its end, and then even this finds no room
	default:
		t.Errorf("on a full disk DEL is answered by %q", a.raw)
	}
	remove()
	eventually(t, 30*time.Second, "writes are taken again", func() bool {
		a := w.do(t, "SET", "k", "v")
		return a.raw == "+OK\r\n"
	})
	n.kill()
	n.restart()
	w = n.wire(t)
	for i := 1; i < acked; i++ {
		if a := w.do(t, "STRLEN", fmt.Sprint("large:", i)); a.int() != 1<<20 {
			t.Errorf("large:%d was acknowledged and has %d bytes", i, a.int())
		}
	}
}
