package osfs

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemoteFUSE(t *testing.T) {
	const root = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
	line := func(rest string) string {
		return "40 22 0:44 / /mnt/a\\040-\\040b rw,nosuid shared:7 master:2 - " + rest + "\n"
	}
	for _, test := range []struct {
		mounts, want string // want is "" for a local one
	}{
		{line("fuse.sshfs me@host:/home rw,user_id=0"), "fuse.sshfs"},
		{line("fuse.rclone remote: rw"), "fuse.rclone"},
		{line("fuse.s3fs s3fs rw"), "fuse.s3fs"},
		{line("fuse.glusterfs host:/v rw"), "fuse.glusterfs"},
		{line("fuse.vmhgfs-fuse vmhgfs-fuse rw"), "fuse.vmhgfs-fuse"},
		{line("virtiofs shared rw"), "virtiofs"},
		{line("fuse.grpcfuse grpcfuse rw"), "fuse.grpcfuse"},
		{line("fuse sshfs#host: rw"), "(fuse)"},
		{line("fuse.mergerfs-remote x rw"), "fuse.mergerfs-remote"},
		{line("fuseblk /dev/sdb1 rw"), ""},
		{line("fuse.fuse-overlayfs fuse-overlayfs rw"), ""},
		{line("fuse.mergerfs /a:/b rw"), ""},
		{line("fuse.ntfs-3g /dev/sdb1 rw"), ""},
		{line("fuse.gocryptfs /home/me/secret rw"), ""},
		{"40 22 0:44 / /mnt rw - fuse.sshfs - rw", "fuse.sshfs"},
		{"40 22 0:44 / /mnt rw - fuse.mergerfs x rw", ""}, // no optional fields, no end of line
		// Others' lines: another device, one that begins alike, no fields.
		{"40 22 0:4 / /mnt rw - fuse.mergerfs x rw\n41 22 0:445 / /mnt rw - fuse.mergerfs x rw\n", "unknown"},
		{"41 22 0:45 / /mnt rw - fuse.mergerfs x rw\n" + line("fuse.sshfs h: rw"), "fuse.sshfs"},
		{"41 22 0:45 / /mnt rw - fuse.sshfs h: rw\n" + line("fuse.mergerfs x rw"), ""},
		{"40 22 0:44 / /mnt rw\n", "unknown"},
		{"40 22 0:44 / /mnt rw - \n\n \n", "unknown"},
		{"", "unknown"},
	} {
		got := remoteFUSE(root+test.mounts, unix.Mkdev(0, 44))
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.mounts, got, test.want)
		}
	}
}

// A file system in user space is looked up in the mounts.
func TestNetworkFUSE(t *testing.T) {
	dirs := map[string]string{"fuse.sshfs": t.TempDir(), "fuse.mergerfs": t.TempDir()}
	skip := make(chan string, 1)
	go func() {
		defer close(skip)
		runtime.LockOSThread() // and never unlock: the thread ends, and its mounts with it
		if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
			skip <- fmt.Sprint("no mounts of its own: ", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			skip <- fmt.Sprint("no private mounts: ", err)
			return
		}
		for kind, dir := range dirs {
			dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				skip <- fmt.Sprint("no file systems in user space: ", err)
				return
			}
			defer unix.Close(dev)
			if err := unix.Mount("none", dir, kind, 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev)); err != nil {
				skip <- fmt.Sprint("cannot mount: ", err)
				return
			}
			served := make(chan struct{})
			go func() { serveFUSE(dev); close(served) }()
			d, err := Open(dir)
			if err != nil {
				t.Error(err)
			} else {
				got, err := d.Network()
				if local := kind == "fuse.mergerfs"; err != nil || (got == "") != local || !local && !strings.Contains(got, kind) {
					t.Errorf("on %s: %q, error %v", kind, got, err)
				}
				d.Close()
			}
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
			<-served
		}
	}()
	if why, ok := <-skip; ok {
		t.Skip(why)
	}
}

// serveFUSE answers for a file system that is an empty directory, until it is
// unmounted.
func serveFUSE(dev int) {
	le := binary.NativeEndian
	buf := make([]byte, 1<<17)
	for {
		n, err := unix.Read(dev, buf)
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOENT {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		out := make([]byte, 16, 128)
		switch le.Uint32(buf[4:]) {
		case 2, 36, 42: // FORGET, INTERRUPT and BATCH_FORGET want no answer
			continue
		case 3: // GETATTR
			out = out[:16+16+88]
			le.PutUint64(out[32:], 1)                  // inode
			le.PutUint32(out[92:], unix.S_IFDIR|0o700) // mode
			le.PutUint32(out[96:], 2)                  // links
		case 17: // STATFS
			out = out[:16+80]
		case 26: // INIT, of version 7.31
			out = out[:16+64]
			le.PutUint32(out[16:], 7)
			le.PutUint32(out[20:], 31)
			le.PutUint32(out[36:], 4096) // max_write
		case 27: // OPENDIR
			out = out[:16+16]
		case 29, 38: // RELEASEDIR, DESTROY
		default:
			enosys := -int32(unix.ENOSYS)
			le.PutUint32(out[4:], uint32(enosys))
		}
		le.PutUint32(out, uint32(len(out)))
		copy(out[8:16], buf[8:16])
		unix.Write(dev, out)
	}
}
