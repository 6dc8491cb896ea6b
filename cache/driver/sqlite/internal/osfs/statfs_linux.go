package osfs

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The magic numbers of statfs(2) of file systems that several machines can
// have mounted at once, virtual ones among them.
var networkMagic = map[uint32]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x01021997: "9P",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x73757245: "Coda",
	0x00c36400: "Ceph",
	0x0bd00bd0: "Lustre",
	0x47504653: "GPFS",
	0x01161970: "GFS2",
	0x7461636f: "OCFS2",
	0x19830326: "BeeGFS",
	0x786f4256: "VirtualBox's shared folders",
	0xbacbacbc: "VMware's shared folders",
	0x7c7c6673: "Parallels' shared folders",
}

// The types in mountinfo of file systems in user space that one machine has
// alone. Any other may be a network's, as sshfs, rclone and virtiofs are.
var localFUSE = map[string]bool{
	"fuseblk":             true, // a block device's: ntfs-3g, exfat
	"fuse.archivemount":   true,
	"fuse.bindfs":         true,
	"fuse.encfs":          true,
	"fuse.exfat":          true,
	"fuse.exfat-fuse":     true,
	"fuse.fuse-ext2":      true,
	"fuse.fuse-overlayfs": true,
	"fuse.fuse2fs":        true,
	"fuse.gocryptfs":      true,
	"fuse.lxcfs":          true,
	"fuse.mergerfs":       true,
	"fuse.mhddfs":         true,
	"fuse.ntfs-3g":        true,
	"fuse.squashfuse":     true,
	"fuse.squashfuse_ll":  true,
	"fuse.unionfs":        true,
	"fuse.unionfs-fuse":   true,
	"fuse.veracrypt":      true,
	"fuse.zfs":            true,
	"fuse.zfs-fuse":       true,
}

func (h handle) network(string) (string, error) {
	var st unix.Statfs_t
	err := retryInterrupted(func() error { return unix.Fstatfs(int(h), &st) })
	if err != nil || uint32(st.Type) != unix.FUSE_SUPER_MAGIC {
		return networkMagic[uint32(st.Type)], err
	}
	var file unix.Stat_t
	if err := retryInterrupted(func() error { return unix.Fstat(int(h), &file) }); err != nil {
		return "", err
	}
	// The thread's, since it may have mounts of its own. Where there is no
	// /proc, the type remains unknown.
	mounts, _ := os.ReadFile("/proc/thread-self/mountinfo")
	return remoteFUSE(string(mounts), uint64(file.Dev)), nil
}

// remoteFUSE returns what to call the file system in user space that is mounted
// as a device, or "" if it is a local one.
func remoteFUSE(mountinfo string, dev uint64) string {
	at := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	for line := range strings.Lines(mountinfo) {
		mount, fs, _ := strings.Cut(line, " - ")
		if f := strings.Fields(mount); len(f) < 3 || f[2] != at {
			continue
		}
		if f := strings.Fields(fs); len(f) > 0 {
			if localFUSE[f[0]] {
				return ""
			}
			return fmt.Sprintf("a shared folder or a file system in user space (%s)", f[0])
		}
	}
	return "a file system in user space of an unknown type"
}

func (h handle) space() (free, total int64, err error) {
	var st unix.Statfs_t
	err = retryInterrupted(func() error { return unix.Fstatfs(int(h), &st) })
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), err
}
